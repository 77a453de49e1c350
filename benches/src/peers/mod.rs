//! Those we compare with, each set up as its own documentation recommends.

pub mod loops;
pub mod pools;
pub mod rings;

/// One peer for each type named: `each!(P in pools [Tokio, Rayon] => lap::<P>())`.
#[cfg(not(feature = "alone"))]
macro_rules! each {
    ($peer:ident in $kind:ident [$($name:ident),*] => $lap:expr) => {
        vec![$({
            type $peer = $crate::peers::$kind::$name;
            $crate::peers::$kind::peer::<$peer, _>(|| $lap)
        }),*]
    };
}

/// Only ours.
#[cfg(feature = "alone")]
macro_rules! each {
    ($peer:ident in $kind:ident [Footbridge $(, $name:ident)*] => $lap:expr) => {
        vec![{
            type $peer = $crate::peers::$kind::Footbridge;
            $crate::peers::$kind::peer::<$peer, _>(|| $lap)
        }]
    };
    ($peer:ident in $kind:ident [$($name:ident),*] => $lap:expr) => {
        Vec::<$crate::lap::Peer>::new()
    };
}
pub(crate) use each;
