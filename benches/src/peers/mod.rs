//! Those we compare with, each set up as its own documentation recommends.

pub mod loops;
pub mod pools;

/// One peer for each type named: `each!(P in pools [Tokio, Rayon] => lap::<P>())`.
macro_rules! each {
    ($peer:ident in $kind:ident [$($name:ident),*] => $lap:expr) => {
        vec![$({
            type $peer = $crate::peers::$kind::$name;
            $crate::lap::Peer::new($peer::NAME, $lap)
        }),*]
    };
}
pub(crate) use each;
