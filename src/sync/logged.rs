//! loom's atomics and its fence, with each step in the log of `interleaving`.

use super::interleaving::{Action, Value, step};
use std::ops::Deref;
use std::sync::atomic;

pub use loom::sync::atomic::Ordering;

#[track_caller]
pub fn fence(order: Ordering) {
    step(
        &(),
        || loom::sync::atomic::fence(order),
        |()| Action::Call(""),
    );
}

/// What isn't here is loom's own, which the atomic dereferences to, and isn't logged.
macro_rules! logged {
    ($($name:ident($type:ty) as $value:expr, with $($change:ident)*;)*) => {$(
        #[derive(Default, Debug)]
        pub struct $name(loom::sync::atomic::$name);

        impl $name {
            pub fn new(value: $type) -> Self {
                Self(loom::sync::atomic::$name::new(value))
            }

            pub fn into_inner(self) -> $type {
                self.0.into_inner()
            }

            #[track_caller]
            pub fn load(&self, order: Ordering) -> $type {
                step(self, || self.0.load(order), |read| Action::Step(Some($value(*read)), None))
            }

            #[track_caller]
            pub fn store(&self, value: $type, order: Ordering) {
                step(self, || self.0.store(value, order), |()| Action::Step(None, Some($value(value))));
            }

            #[track_caller]
            pub fn compare_exchange(
                &self,
                current: $type,
                new: $type,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$type, $type> {
                step(self, || self.0.compare_exchange(current, new, success, failure),
                    |result| match *result {
                        Ok(read) => Action::Step(Some($value(read)), Some($value(new))),
                        Err(read) => Action::Step(Some($value(read)), None),
                    },
                )
            }

            #[track_caller]
            pub fn compare_exchange_weak(
                &self,
                current: $type,
                new: $type,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$type, $type> {
                self.compare_exchange(current, new, success, failure)
            }

            #[track_caller]
            pub fn fetch_update(
                &self,
                set_order: Ordering,
                fetch_order: Ordering,
                mut new: impl FnMut($type) -> Option<$type>,
            ) -> Result<$type, $type> {
                let mut before = self.load(fetch_order);
                while let Some(new) = new(before) {
                    match self.compare_exchange(before, new, set_order, fetch_order) {
                        Ok(before) => return Ok(before),
                        Err(other) => before = other,
                    }
                }
                Err(before)
            }

            $(
                #[track_caller]
                pub fn $change(&self, value: $type, order: Ordering) -> $type {
                    step(self, || self.0.$change(value, order),
                        |read| {
                            let after = atomic::$name::new(*read);
                            after.$change(value, Ordering::Relaxed);
                            Action::Step(Some($value(*read)), Some($value(after.into_inner())))
                        },
                    )
                }
            )*
        }

        impl From<$type> for $name {
            fn from(value: $type) -> Self {
                Self::new(value)
            }
        }

        impl Deref for $name {
            type Target = loom::sync::atomic::$name;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    )*};
    (integers: $($name:ident($type:ty) as $value:ident($wide:ty))*) => {
        logged! {$(
            $name($type) as |value| Value::$value(value as $wide),
            with swap fetch_add fetch_sub fetch_and fetch_or fetch_xor fetch_max fetch_min;
        )*}
    };
}

logged! { AtomicBool(bool) as Value::Bool, with swap fetch_and fetch_or fetch_xor; }
logged! {
    integers: AtomicU8(u8) as Unsigned(u64) AtomicU16(u16) as Unsigned(u64) AtomicU32(u32) as Unsigned(u64)
    AtomicU64(u64) as Unsigned(u64) AtomicUsize(usize) as Unsigned(u64)
    AtomicI8(i8) as Signed(i64) AtomicI16(i16) as Signed(i64) AtomicI32(i32) as Signed(i64)
    AtomicI64(i64) as Signed(i64) AtomicIsize(isize) as Signed(i64)
}
