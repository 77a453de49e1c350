//! Other threads hand closures to the loop. They lie in an *inbox*, and the loop looks into it in each round. A post
//! has to wake the loop only if that sleeps, so the inbox has a flag for it.
//!
//! The rule: the loop's last look and its falling asleep are one step, under the lock. Then a post comes before the
//! step, and the loop sees it; or it comes after, and sees that the loop sleeps.

use super::join::{AlwaysAnswers, JoinHandle, cell};
use super::line::{self, Executor};
use super::parker::Parker;
use super::timers::{earliest, fire};
use super::world::Mutex;
use crate::on_loom;
use crate::watchdog::{ends, explore};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

pub type Post = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub struct Inbox {
    state: Mutex<State>,
    parker: Arc<Parker>,
}

#[derive(Default)]
struct State {
    posts: Vec<Post>,
    asleep: bool,
    closed: bool,
}

impl Inbox {
    /// If the loop has ended, the post is dropped. What waits for it is answered by that.
    pub fn post(&self, post: Post) {
        let mut state = self.state.lock().unwrap();
        if state.closed {
            return drop(state);
        }
        state.posts.push(post);
        let asleep = std::mem::take(&mut state.asleep);
        drop(state);
        if asleep {
            self.parker.unpark();
        }
    }

    pub fn take(&self) -> Vec<Post> {
        std::mem::take(&mut self.state.lock().unwrap().posts)
    }

    pub fn sleep(&self, park: impl Fn(&Parker)) {
        let mut state = self.state.lock().unwrap();
        if state.posts.is_empty() {
            state.asleep = true;
            drop(state);
            park(&self.parker);
        }
    }
}

/// Reaches the loop from any thread.
#[derive(Clone)]
pub struct Handle(Arc<Inbox>);

thread_local!(static CURRENT: RefCell<Option<Handle>> = const { RefCell::new(None) });

impl Handle {
    /// Of the loop that runs on this thread.
    pub fn try_current() -> Option<Handle> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// `make` is called on the loop's thread, so only `make` has to be `Send`, and the future doesn't.
    pub fn spawn<T, F>(&self, make: impl FnOnce() -> F + Send + 'static) -> JoinHandle<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let (answer, handle) = cell();
        let answer = AlwaysAnswers(answer);
        let task = || line::spawn(async { answer.give(make().await) });
        self.0.post(Box::new(task));
        handle
    }
}

/// Closes the inbox when the loop is left. Posts that it still has are dropped, on the loop's thread.
struct Leave(Handle);

impl Drop for Leave {
    fn drop(&mut self) {
        CURRENT.take();
        self.0.0.state.lock().unwrap().closed = true;
        drop(self.0.0.take());
    }
}

pub fn run<F: Future>(main: F) -> F::Output {
    let executor = Rc::<Executor>::default();
    let parker = executor.line.parker.clone();
    let inbox = Arc::new(Inbox {
        parker,
        ..Inbox::default()
    });
    CURRENT.set(Some(Handle(inbox.clone())));
    let _leave = Leave(Handle(inbox.clone()));
    let before_each_turn = || {
        fire();
        inbox.take().into_iter().for_each(|post| post());
    };
    let sleep = |_: &Parker| inbox.sleep(|parker| parker.park_until(earliest()));
    line::run_with(
        VecDeque::pop_front,
        &executor,
        before_each_turn,
        sleep,
        main,
    )
}

// What fails without it, and no longer fails with it.

impl Inbox {
    /// What one writes first: two steps. A post in between sees a loop that is awake, and leaves it at that.
    pub fn sleep_in_two_steps(&self, park: impl Fn(&Parker)) {
        if self.state.lock().unwrap().posts.is_empty() {
            self.state.lock().unwrap().asleep = true;
            park(&self.parker);
        }
    }
}

/// A loop that waits for one post, and another thread that brings it.
fn a_post_against_the_falling_asleep(sleep: fn(&on_loom::inbox::Inbox)) {
    let inbox = Arc::new(on_loom::inbox::Inbox::default());
    let poster = inbox.clone();
    loom::thread::spawn(move || poster.post(Box::new(|| ())));
    while inbox.take().is_empty() {
        sleep(&inbox);
    }
}

pub fn main() {
    type Inbox = on_loom::inbox::Inbox;
    type Parker = on_loom::parker::Parker;
    let two_steps = |inbox: &Inbox| inbox.sleep_in_two_steps(Parker::park);
    let found = explore(move || a_post_against_the_falling_asleep(two_steps));
    println!("looks, then falls asleep: {found}");
    let one_step = |inbox: &Inbox| inbox.sleep(Parker::park);
    let found = explore(move || a_post_against_the_falling_asleep(one_step));
    println!("in one step: {found}");
    let posted = ends(|| {
        run(async {
            let handle = Handle::try_current().unwrap();
            std::thread::spawn(move || handle.spawn(|| async { 42 }))
                .join()
                .unwrap()
                .await
        })
    });
    println!("a thread spawns on the loop: {posted:?}");
}

// For real: `src/event_loop/inbox.rs`. It adds a hint, which saves a lock in each round without posts, and the hook that
// wakes a host's main loop.
