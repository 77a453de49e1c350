//! Those we compare with, each set up as its own documentation recommends.

pub mod loops;
pub mod pools;
pub mod rings;

/// One peer for each type named: `each!(P in pools [Tokio, Rayon] => lap::<P>())`.
macro_rules! each {
    ($peer:ident in $kind:ident [$($name:ident),*] => $lap:expr) => {
        vec![$({
            type $peer = $crate::peers::$kind::$name;
            $crate::peers::$kind::peer::<$peer, _>(|| $lap)
        }),*]
    };
}
pub(crate) use each;
