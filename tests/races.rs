//! Interleavings that a review found: an abort that is lost, a waker taken for another one.
#![cfg(not(footbridge_loom))]

mod common;

use common::watched;
use footbridge::{EventLoop, Handle, JoinHandle, Pool, run, spawn, spawn_blocking, yield_now};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};

struct Told(Rc<Cell<bool>>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[test]
fn a_task_aborted_in_its_first_poll_is_dropped_though_its_handle_is_gone() {
    let dropped = Rc::new(Cell::new(false));
    run(async {
        let own = Rc::new(RefCell::new(None::<JoinHandle<()>>));
        let (taken, told) = (own.clone(), Told(dropped.clone()));
        *own.borrow_mut() = Some(spawn(async move {
            let _told = told;
            let own = taken.take().unwrap();
            own.abort();
            drop(own);
            pending().await
        }));
        for _ in 0..10 {
            yield_now().await;
        }
        assert!(dropped.get(), "the task was aborted, and lives on");
    });
}

#[test]
fn a_task_aborted_by_another_thread_in_its_first_poll_is_dropped_though_its_handle_is_gone() {
    watched(|| {
        run(async {
            let ((began, has_begun), (aborted, has_aborted)) = (mpsc::channel(), mpsc::channel());
            let (gone, is_gone) = mpsc::channel::<()>();
            let handle = Handle::current();
            let thread = std::thread::spawn(move || {
                let task = handle.spawn(move || async move {
                    let _gone = gone;
                    began.send(()).unwrap();
                    has_aborted.recv().unwrap();
                    pending::<()>().await
                });
                has_begun.recv().unwrap();
                task.abort();
                drop(task);
                aborted.send(()).unwrap();
            });
            while !thread.is_finished() {
                yield_now().await;
            }
            yield_now().await;
            let gone = is_gone.try_recv() == Err(mpsc::TryRecvError::Disconnected);
            assert!(gone, "the task was aborted, and lives on");
        });
    });
}

/// As large as a ticket of a loop's.
struct Blocks {
    wait: Mutex<Option<mpsc::Receiver<()>>>,
}

impl Wake for Blocks {
    fn wake(self: Arc<Self>) {
        if let Some(wait) = self.wait.lock().unwrap().take() {
            let _ = wait.recv();
        }
    }
}

/// Whether a job is run while another one's thread calls `waker`, which waits for `go`.
fn a_slow_waker_keeps_no_job_waiting(pool: &Pool, waker: &Waker, go: mpsc::Sender<()>) -> bool {
    let ((begun, has_begun), (end, wait)) = (mpsc::channel(), mpsc::channel::<()>());
    let mut slow = pool.spawn_blocking(move || {
        begun.send(()).unwrap();
        wait.recv().unwrap();
    });
    has_begun.recv().unwrap();
    let mut context = Context::from_waker(waker);
    assert!(Pin::new(&mut slow).poll(&mut context).is_pending());
    end.send(()).unwrap();
    while !slow.is_finished() {
        std::thread::yield_now();
    }
    // Its thread calls the waker, which waits for this job.
    let (done, is_done) = mpsc::channel();
    pool.spawn_blocking(move || done.send(())).detach();
    let answered = is_done.recv_timeout(std::time::Duration::from_secs(5));
    go.send(()).unwrap();
    answered.is_ok()
}

/// Has a task of `event_loop` leave a waker in `kept` and end.
fn a_task_that_leaves_its_waker(
    event_loop: &mut EventLoop,
    kept: &Arc<Mutex<Option<Waker>>>,
    abort: bool,
) {
    let keep = kept.clone();
    let task = event_loop.spawn(std::future::poll_fn(move |context| {
        *keep.lock().unwrap() = Some(context.waker().clone());
        match abort {
            true => std::task::Poll::Pending,
            false => std::task::Poll::Ready(()),
        }
    }));
    assert!(event_loop.tick());
    if abort {
        task.abort();
        assert!(event_loop.tick());
    }
}

fn a_strangers_waker_where_a_ticket_was_is_not_taken_for_quick(abort: bool) {
    watched(move || {
        let pool = Pool::builder().max_threads(4).build();
        let kept = Arc::new(Mutex::new(None::<Waker>));
        let mut event_loop = EventLoop::new();
        a_task_that_leaves_its_waker(&mut event_loop, &kept, abort);
        // Not recycled, since it has a waker; now it is freed.
        let ticket = kept.lock().unwrap().take().unwrap();
        let address = ticket.data().addr();
        let (go, wait) = mpsc::channel();
        drop(ticket);
        let (mut others, mut blocks) = (Vec::new(), None);
        for _ in 0..64 {
            let target = Arc::new(Blocks {
                wait: Mutex::new(None),
            });
            if Arc::as_ptr(&target).addr() == address {
                blocks = Some(target);
                break;
            }
            others.push(target);
        }
        let Some(target) = blocks else {
            eprintln!("the allocator has not given it out again");
            return;
        };
        eprintln!("the waker is where the ticket was");
        *target.wait.lock().unwrap() = Some(wait);
        let waker = Waker::from(target);
        let (tell, told) = mpsc::channel();
        event_loop.handle().call_soon(move || {
            let answered = a_slow_waker_keeps_no_job_waiting(&pool, &waker, go);
            tell.send(answered).unwrap();
        });
        event_loop.tick();
        assert!(told.recv().unwrap());
    });
}

#[test]
fn a_strangers_waker_where_the_ticket_of_a_task_that_has_ended_was_is_not_taken_for_quick() {
    a_strangers_waker_where_a_ticket_was_is_not_taken_for_quick(false);
}

#[test]
fn a_strangers_waker_where_the_ticket_of_an_aborted_task_was_is_not_taken_for_quick() {
    a_strangers_waker_where_a_ticket_was_is_not_taken_for_quick(true);
}

/// Its job's thread calls it until it is told to go on.
struct Holds(Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>>);

impl Wake for Holds {
    fn wake(self: Arc<Self>) {
        if let Some((woken, go)) = self.0.lock().unwrap().take() {
            woken.send(()).unwrap();
            let _ = go.recv();
        }
    }
}

#[test]
fn a_job_whose_result_has_been_given_is_not_said_to_be_running() {
    watched(|| {
        let pool = Pool::builder().build();
        let ((begun, has_begun), (end, wait)) = (mpsc::channel(), mpsc::channel::<()>());
        let mut task = pool.spawn_blocking(move || {
            begun.send(()).unwrap();
            wait.recv().unwrap();
        });
        has_begun.recv().unwrap();
        let ((woken, has_woken), (go, going)) = (mpsc::channel(), mpsc::channel());
        let waker = Waker::from(Arc::new(Holds(Mutex::new(Some((woken, going))))));
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut task).poll(&mut context).is_pending());
        end.send(()).unwrap();
        has_woken.recv().unwrap();
        assert!(Pin::new(&mut task).poll(&mut context).is_ready());
        let left = pool.shutdown(std::time::Duration::ZERO).unwrap_err();
        go.send(()).unwrap();
        assert!(left.jobs().is_empty(), "{left}");
    });
}

#[test]
fn a_timer_is_not_late_by_the_time_that_its_loop_may_spin() {
    let second = std::time::Duration::from_secs(1);
    let mut event_loop = EventLoop::builder().spin_time(second).build();
    let start = std::time::Instant::now();
    event_loop.run_until(async {
        let (go, wait) = mpsc::channel();
        // It is awaited, so the loop spins for its answer.
        let job = spawn(spawn_blocking(move || wait.recv()));
        footbridge::time::sleep(second / 1000).await;
        go.send(()).unwrap();
        job.await.unwrap().unwrap();
    });
    assert!(
        start.elapsed() < second,
        "it spun past its deadline, for {:?}",
        start.elapsed()
    );
}
