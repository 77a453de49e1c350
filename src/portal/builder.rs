//! The settings of a portal, and its start.

use crate::event_loop::EventLoop;
use crate::pool::Pool;
use crate::portal::life::Life;
use crate::portal::{Portal, thread};
use crate::sync::{Arc, start_thread};
use std::io;

impl Portal {
    /// Starts a portal with a thread called `footbridge-portal`, whose jobs go to the global pool. [`Portal`] has an
    /// example.
    ///
    /// # Errors
    /// The system's, if it refuses a thread.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// A portal with other settings. [`PortalBuilder`] has an example.
    pub fn builder() -> PortalBuilder {
        PortalBuilder::default()
    }
}

/// Settings for a [`Portal`].
///
/// ```
/// use footbridge::{Pool, Portal, asyncify};
/// use std::thread;
///
/// fn thread_name() -> Option<String> { thread::current().name().map(String::from) }
///
/// let pool = Pool::builder().thread_name("disk").build();
/// let portal = Portal::builder().thread_name("net").pool(&pool).start()?;
/// let names = portal.handle().block_on(async || (thread_name(), asyncify(thread_name)().await)).unwrap();
/// assert_eq!(names, (Some("net".into()), Some("disk-0".into())));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct PortalBuilder {
    thread_name: String,
    stack_size: Option<usize>,
    pool: Option<Pool>,
}

impl Default for PortalBuilder {
    fn default() -> Self {
        Self {
            thread_name: "footbridge-portal".into(),
            stack_size: None,
            pool: None,
        }
    }
}

impl PortalBuilder {
    /// The name of the portal's thread, `footbridge-portal` if not set. [`PortalBuilder`] has an example.
    ///
    /// # Panics
    /// If the name holds a NUL byte: a thread's name can't hold one.
    #[track_caller]
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        assert!(
            !name.contains('\0'),
            "PortalBuilder::thread_name: a thread's name can't hold a NUL byte"
        );
        self.thread_name = name;
        self
    }

    /// The size of the thread's stack in bytes. If not set, [`std::thread::Builder`] chooses. If it is more than the system
    /// has, [`start`](Self::start) returns the system's error.
    ///
    /// ```
    /// fn depth(n: u32) -> u32 {
    ///     if n == 0 { 0 } else { 1 + depth(n - 1) }
    /// }
    /// let portal = footbridge::Portal::builder().thread_stack_size(64 << 20).start()?;
    /// assert_eq!(portal.handle().block_on(async || depth(100_000)), Ok(100_000));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn thread_stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// The jobs of the portal's loop run on `pool`, unless a call names another pool. If not set, they run on the
    /// [global](Pool::global) pool. [`PortalBuilder`] has an example.
    pub fn pool(mut self, pool: &Pool) -> Self {
        self.pool = Some(pool.clone());
        self
    }

    /// Starts the portal. Waits until its thread has made the loop, which takes no longer than the start of a thread does.
    ///
    /// # Errors
    /// The system's, if it refuses a thread.
    ///
    /// ```
    /// let refused = footbridge::Portal::builder().thread_stack_size(1 << 46).start();
    /// assert!(refused.is_err(), "no system has so much");
    /// ```
    pub fn start(self) -> io::Result<Portal> {
        let life = Arc::new(Life::new());
        let body = {
            let life = life.clone();
            let pool = self.pool;
            let make_loop = move || match pool {
                Some(pool) => EventLoop::builder().pool(&pool).build(),
                None => EventLoop::new(),
            };
            move || thread::main(make_loop, &life)
        };
        start_thread(self.thread_name, self.stack_size, body)?;
        let handle = life.wait_for_start();
        Ok(Portal { handle, life })
    }
}
