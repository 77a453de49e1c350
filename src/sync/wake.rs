//! Makes wakers. With futures-task, a poll borrows the waker from an `Arc`. With std alone, each poll clones the `Arc`.

/// Makes a type a waker's target. The type has `fn wake(self: &Arc<Self>)`, which a wake calls.
macro_rules! impl_wake {
    ($type:ty) => {
        #[cfg(feature = "futures-task")]
        impl futures_task::ArcWake for $type {
            fn wake_by_ref(this: &$crate::sync::Arc<Self>) {
                Self::wake(this);
            }
        }

        #[cfg(not(feature = "futures-task"))]
        impl std::task::Wake for $type {
            fn wake(self: $crate::sync::Arc<Self>) {
                Self::wake(&self);
            }

            fn wake_by_ref(self: &$crate::sync::Arc<Self>) {
                Self::wake(self);
            }
        }
    };
}
pub(crate) use impl_wake;

#[cfg(feature = "futures-task")]
pub(crate) use futures_task::{waker, waker_ref};

#[cfg(not(feature = "futures-task"))]
mod counted {
    use std::sync::Arc;
    use std::task::{Wake, Waker};

    pub(crate) fn waker<W: Wake + Send + Sync + 'static>(target: Arc<W>) -> Waker {
        Waker::from(target)
    }

    /// A wrapper: callers dereference it like the one of futures-task.
    pub(crate) fn waker_ref<W: Wake + Send + Sync + 'static>(target: &Arc<W>) -> Counted {
        Counted(Waker::from(target.clone()))
    }

    pub(crate) struct Counted(Waker);

    impl std::ops::Deref for Counted {
        type Target = Waker;

        fn deref(&self) -> &Waker {
            &self.0
        }
    }
}
#[cfg(not(feature = "futures-task"))]
pub(crate) use counted::{waker, waker_ref};
