//! Tasks that may borrow, and don't outlive the function that spawned them. A scope is one future, which polls its
//! children itself: so they may borrow whatever outlives that future, and are dropped with it.
//!
//! The rule: a poll of the scope polls no more children than are woken once the body has been polled, and leaves the rest
//! to the next poll. The scope is one task of a loop that has others.

use super::inbox::run;
use super::join::{AlwaysAnswers, JoinHandle, cell, spawn};
use super::parker::yield_now;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

type Child<'env> = Pin<Box<dyn Future<Output = ()> + 'env>>;

/// Which children have been woken, and the waker of the scope's own task.
#[derive(Default)]
struct Woken(Mutex<(VecDeque<usize>, Option<Waker>)>);

/// What a child's waker is made of.
struct ChildKey(usize, Arc<Woken>);

impl Wake for ChildKey {
    fn wake(self: Arc<Self>) {
        let mut woken = self.1.0.lock().unwrap();
        if !woken.0.contains(&self.0) {
            woken.0.push_back(self.0);
        }
        let waker = woken.1.take();
        drop(woken);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[derive(Default)]
pub struct Scope<'env> {
    /// `None`: it has ended, or is being polled.
    children: RefCell<Vec<Option<Child<'env>>>>,
    woken: Arc<Woken>,
}

impl<'env> Scope<'env> {
    pub fn spawn<T: 'env>(&self, future: impl Future<Output = T> + 'env) -> JoinHandle<T> {
        let (answer, handle) = cell();
        let answer = AlwaysAnswers(answer);
        let child = Box::pin(async move { answer.give(future.await) });
        self.children.borrow_mut().push(Some(child));
        let key = self.children.borrow().len() - 1;
        Arc::new(ChildKey(key, self.woken.clone())).wake();
        handle
    }

    /// Polls up to `most` of those that have been woken.
    fn poll_children(&self, most: usize) {
        for _ in 0..most {
            let next = self.woken.0.lock().unwrap().0.pop_front();
            let Some(key) = next else { break };
            let waker = Waker::from(Arc::new(ChildKey(key, self.woken.clone())));
            let Some(mut child) = self.children.borrow_mut()[key].take() else {
                continue; // It has ended, and was woken once more.
            };
            let polled = child.as_mut().poll(&mut Context::from_waker(&waker));
            if polled.is_pending() {
                self.children.borrow_mut()[key] = Some(child);
            }
        }
    }
}

/// How many children a poll of the scope polls, of so many that have been woken.
type Share = fn(usize) -> usize;

async fn scope_with<'env, T>(share: Share, body: impl AsyncFnOnce(&Scope<'env>) -> T) -> T {
    let scope = Scope::default();
    let mut body = pin!(body(&scope));
    let mut output = None;
    poll_fn(|context| {
        let waker = context.waker().clone();
        let _last = scope.woken.0.lock().unwrap().1.replace(waker); // It is dropped when the lock is free.
        if output.is_none() {
            if let Poll::Ready(ready) = body.as_mut().poll(context) {
                output = Some(ready);
            }
        }
        let woken = scope.woken.0.lock().unwrap().0.len();
        scope.poll_children(share(woken));
        let all_ended = scope.children.borrow().iter().all(Option::is_none);
        match output.take_if(|_| all_ended) {
            Some(output) => Poll::Ready(output),
            None => Poll::Pending,
        }
    })
    .await
}

/// Ends when `body` and all children have ended.
pub async fn scope<'env, T>(body: impl AsyncFnOnce(&Scope<'env>) -> T) -> T {
    scope_with(|woken| woken, body).await
}

// What fails without it, and no longer fails with it.

/// Polls `parent` once, drops it, and lets the loop go round some more times.
async fn cancel(parent: impl Future) {
    let mut parent = Box::pin(parent);
    let poll = |context: &mut Context<'_>| Poll::Ready(parent.as_mut().poll(context).is_ready());
    assert!(!poll_fn(poll).await);
    drop(parent);
    for _ in 0..3 {
        yield_now().await;
    }
}

/// How often a child yields, up to a thousand times, until another task of the loop has run.
async fn yields_until_the_other_has_run(share: Share) -> usize {
    let ran = Rc::new(Cell::new(false));
    let other = ran.clone();
    let mut yields = 0;
    scope_with(share, async |scope| {
        spawn(async move { other.set(true) });
        scope.spawn(async {
            while !ran.get() && yields < 1000 {
                yields += 1;
                yield_now().await;
            }
        });
    })
    .await;
    yields
}

pub fn main() {
    let ran = Rc::new(Cell::new(false));
    let child = ran.clone();
    let parent = async {
        spawn(async move {
            yield_now().await;
            child.set(true);
        });
        pending::<()>().await
    };
    run(cancel(parent));
    println!(
        "spawned, and its parent cancelled: it runs on = {}",
        ran.get()
    );

    let mut ran = false; // The child borrows it.
    let parent = scope(async |scope| {
        scope.spawn(async {
            yield_now().await;
            ran = true;
        });
        pending::<()>().await
    });
    run(cancel(parent));
    println!("spawned in a scope: it runs on = {ran}");

    let yields = run(yields_until_the_other_has_run(|_| usize::MAX));
    println!("as long as a child is woken: it yields {yields} times, and no other task has run");
    let yields = run(yields_until_the_other_has_run(|woken| woken));
    println!("those woken before: the other has run when it has yielded {yields} time(s)");
}

// For real: `src/scope/mod.rs` and `src/scope/running.rs`. They add children that spawn children, an error or a panic that
// ends the scope, and blocking children, for which it waits.
