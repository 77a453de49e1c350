//! Contexts of other crates, which they keep in thread-locals: `Context::carry` takes them over both bridges.

#[path = "../../common/mod.rs"]
mod common;
mod worlds;

use common::watched;
use footbridge::context::Context;
use footbridge::{Handle, asyncify, gather, run, spawn, syncify, yield_now};
use opentelemetry::Context as Telemetry;
use std::sync::{Mutex, MutexGuard, Once};
use tracing::{Event, Instrument, Span, Subscriber, info, info_span};
use tracing_subscriber::layer::{self, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use worlds::{EXECUTORS, multi_thread, on_every_executor, pass_on};

/// The names of the spans around each event, the innermost last.
static EVENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Record;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Record {
    fn on_event(&self, event: &Event<'_>, context: layer::Context<'_, S>) {
        let spans = context.event_scope(event).into_iter().flatten();
        let mut names: Vec<_> = spans.map(|span| span.name()).collect();
        names.reverse();
        EVENTS.lock().unwrap().push(names.join(" > "));
    }
}

/// Records events until it is dropped. One test at a time.
fn recording() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    static INSTALL: Once = Once::new();
    let guard = ONE.lock().unwrap();
    INSTALL.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(Record);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    EVENTS.lock().unwrap().clear();
    guard
}

fn recorded() -> Vec<String> {
    std::mem::take(&mut *EVENTS.lock().unwrap())
}

fn spans() -> Context {
    Context::default().carry(|| {
        let span = Span::current();
        move |step: &mut dyn FnMut()| span.in_scope(step)
    })
}

/// An event in a job, in what that calls on the loop, and in the job of that.
fn there_and_back() {
    info!("a job");
    let nested = async || {
        info!("on the loop");
        yield_now().await;
        asyncify(|| info!("the nested job"))().await;
    };
    syncify(nested)().unwrap();
}

// C1, C3
#[test]
fn a_span_around_asyncify_is_the_parent_of_an_event_in_the_nested_job_of_its_syncify() {
    watched(|| {
        let _recording = recording();
        spans().run(|| {
            run(async {
                let call = async { asyncify(there_and_back)().await };
                call.instrument(info_span!("request")).await;
                assert_eq!(recorded(), ["request"; 3]);
                info!("outside");
                assert_eq!(recorded(), [""]);
            });
        });
        // Without `carry`, the thread's own: none.
        run(async {
            asyncify(there_and_back)()
                .instrument(info_span!("request"))
                .await
        });
        assert_eq!(recorded(), [""; 3]);
    });
}

// C1, C3, C6
#[test]
fn each_of_many_requests_has_its_own_span_in_its_jobs_and_tasks() {
    watched(|| {
        let _recording = recording();
        spans().run(|| {
            run(async {
                let request = |span: Span| {
                    span.in_scope(|| {
                        spawn(async {
                            asyncify(there_and_back)().await;
                            info_span!("inner")
                                .in_scope(|| Handle::current().call_soon(|| info!("later")));
                        })
                    })
                };
                let requests = (0..20).map(|n| match n % 2 {
                    0 => request(info_span!("even")),
                    _ => request(info_span!("odd")),
                });
                gather(requests.collect::<Vec<_>>()).await;
                yield_now().await;
            });
        });
        let mut events = recorded();
        events.sort();
        let expected = [
            ("even", 30),
            ("even > inner", 10),
            ("odd", 30),
            ("odd > inner", 10),
        ];
        let expected: Vec<_> = expected
            .into_iter()
            .flat_map(|(names, times)| vec![names; times])
            .collect();
        assert_eq!(events, expected);
    });
}

// C1, C9
#[test]
fn a_wrapped_future_keeps_its_context_and_its_span_on_every_executor_and_on_tokios_many_threads() {
    async fn seen(number: u32) {
        for _ in 0..100 {
            yield_now().await; // On another thread, maybe.
            assert_eq!(Context::current().get().as_deref(), Some(&number));
        }
        let job = || Context::current().get().as_deref().copied();
        assert_eq!(asyncify(job)().await, Some(number));
        info!("there");
    }
    fn wrapped(number: u32) -> impl Future<Output = ()> + Send {
        let context = spans().with(number);
        info_span!("outer").in_scope(|| context.wrap(seen(number)))
    }
    watched(|| {
        let _recording = recording();
        on_every_executor(|| wrapped(7));
        multi_thread().block_on(async {
            let tasks = (0..20).map(|number| tokio::spawn(wrapped(number)));
            for task in tasks.collect::<Vec<_>>() {
                pass_on(task.await);
            }
        });
        assert_eq!(recorded(), ["outer"; EXECUTORS.len() + 20]);
    });
}

// C1, C3
#[test]
fn opentelemetrys_context_crosses_both_bridges() {
    #[derive(Debug, PartialEq, Clone, Copy)]
    struct Baggage(u32);
    fn baggage() -> Option<Baggage> {
        Telemetry::current().get::<Baggage>().copied()
    }
    watched(|| {
        let context = Context::default().carry(|| {
            let telemetry = Telemetry::current();
            move |step: &mut dyn FnMut()| {
                let _attached = telemetry.clone().attach();
                step();
            }
        });
        let job = || {
            (
                baggage(),
                syncify(async || asyncify(baggage)().await)().unwrap(),
            )
        };
        let call = || {
            let _attached = Telemetry::current_with_value(Baggage(7)).attach();
            run(async { asyncify(job)().await })
        };
        let seven = Some(Baggage(7));
        assert_eq!(context.run(call), (seven, seven));
        assert_eq!(call(), (None, None));
    });
}
