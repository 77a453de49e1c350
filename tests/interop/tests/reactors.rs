//! Other people's sockets and timers in the tasks of a loop of ours. It has no I/O of its own, and wakers are all that
//! it has in common with their reactors, which call them from threads of their own.

#[path = "../../common/mod.rs"]
mod common;

use async_compat::{Compat, CompatExt};
use async_io::{Async, Timer};
use common::{me, ms, watched};
use footbridge::time::{sleep, timeout};
use footbridge::{asyncify, gather, run, spawn, spawn_blocking, syncify};
use futures::channel::oneshot;
use futures::stream::FuturesUnordered;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

const CLIENTS: u8 = 8;
const BYTES: usize = 100_000; // An echo moves 8 KiB at a time: there are many reads and writes to wait for.

/// Writes so many bytes and reads them back, while the other side echoes.
async fn there_and_back<S>(stream: S, fill: u8) -> io::Result<bool>
where
    S: futures::AsyncRead + futures::AsyncWrite,
{
    let (mut reader, mut writer) = stream.split();
    let sent = vec![fill; BYTES];
    let mut received = vec![0; BYTES];
    let (written, read) = futures::join!(
        async {
            writer.write_all(&sent).await?;
            writer.flush().await
        },
        reader.read_exact(&mut received)
    );
    written.and(read)?;
    Ok(received == sent)
}

async fn echo<S>(stream: S) -> io::Result<u64>
where
    S: futures::AsyncRead + futures::AsyncWrite,
{
    let (reader, mut writer) = stream.split();
    futures::io::copy(reader.take(BYTES as u64), &mut writer).await
}

#[test]
fn sockets_of_async_io_echo_in_tasks_of_a_loop() {
    watched(|| {
        let answers = run(async {
            let listener = Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0))?;
            let address = listener.get_ref().local_addr()?;
            let server = spawn(async move {
                let mut echoes = Vec::new();
                for _ in 0..CLIENTS {
                    echoes.push(spawn(echo(listener.accept().await?.0)));
                }
                gather(echoes).await.into_iter().map(Result::unwrap).sum()
            });
            let clients = (0..CLIENTS).map(|n| async move {
                there_and_back(Async::<TcpStream>::connect(address).await?, n).await
            });
            let answers: io::Result<Vec<_>> = gather(clients).await.into_iter().collect();
            let echoed: io::Result<u64> = server.await.unwrap();
            assert_eq!(echoed?, u64::from(CLIENTS) * BYTES as u64);
            answers
        });
        assert_eq!(answers.unwrap(), [true; CLIENTS as usize]);
    });
}

#[test]
fn sockets_of_async_net_echo_between_two_loops() {
    watched(|| {
        let (tell, told) = oneshot::channel();
        let server = thread::spawn(move || {
            run(async {
                let listener = async_net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
                tell.send(listener.local_addr()?).unwrap();
                let connections = listener.incoming().take(CLIENTS.into());
                // At most three at a time, and none of them spawned.
                connections
                    .map(async |stream| echo(stream?).await)
                    .buffer_unordered(3)
                    .fold(Ok(0), async |sum: io::Result<u64>, echoed| {
                        Ok(sum? + echoed?)
                    })
                    .await
            })
        });
        let answers = run(async {
            let address = told.await.unwrap();
            let clients: FuturesUnordered<_> = (0..CLIENTS)
                .map(|n| async move {
                    there_and_back(async_net::TcpStream::connect(address).await?, n).await
                })
                .collect();
            clients.collect::<Vec<io::Result<bool>>>().await
        });
        assert!(answers.into_iter().all(Result::unwrap));
        assert_eq!(
            server.join().unwrap().unwrap(),
            u64::from(CLIENTS) * BYTES as u64
        );
    });
}

#[test]
fn sockets_and_timers_of_tokio_work_through_async_compat() {
    use tokio::net::{TcpListener, TcpStream};
    watched(|| {
        let answers = run(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).compat().await?;
            let address = listener.local_addr()?;
            let server = spawn(Compat::new(async move {
                let mut echoes = Vec::new();
                for _ in 0..CLIENTS {
                    let stream = listener.accept().await?.0;
                    echoes.push(spawn(echo(Compat::new(stream))));
                }
                gather(echoes).await.into_iter().map(Result::unwrap).sum()
            }));
            let clients = (0..CLIENTS).map(|n| {
                Compat::new(async move {
                    let start = Instant::now();
                    tokio::time::sleep(ms(2)).await;
                    assert!(start.elapsed() >= ms(2));
                    let stream = TcpStream::connect(address).await?;
                    there_and_back(Compat::new(stream), n).await
                })
            });
            let answers: io::Result<Vec<_>> = gather(clients).await.into_iter().collect();
            let echoed: io::Result<u64> = server.await.unwrap();
            assert_eq!(echoed?, u64::from(CLIENTS) * BYTES as u64);
            answers
        });
        assert_eq!(answers.unwrap(), [true; CLIENTS as usize]);
    });
}

// A6
#[test]
fn timers_of_every_make_run_side_by_side_and_none_fires_early() {
    watched(|| {
        run(async {
            let start = Instant::now();
            let (ours, theirs, tokios) = (sleep(ms(3)), Timer::after(ms(3)), async {
                tokio::time::sleep(ms(3)).await;
            });
            let blocked = asyncify(thread::sleep)(ms(3));
            futures::join!(ours, theirs, tokios.compat(), blocked);
            assert!(start.elapsed() >= ms(3));
            let ticks = Timer::interval(ms(1)).take(5);
            assert_eq!(ticks.count().await, 5);
            assert!(timeout(ms(1), Timer::never()).await.is_err());
            // A timer of theirs that ends first drops one of ours, and the other way round.
            let far = ms(60_000);
            for _ in 0..20 {
                let first = futures_lite::future::or(
                    async {
                        Timer::after(ms(1)).await;
                        "theirs"
                    },
                    async {
                        sleep(far).await;
                        "ours"
                    },
                );
                assert_eq!(first.await, "theirs");
                let first = futures_lite::future::or(
                    async {
                        Timer::after(far).await;
                        "theirs"
                    },
                    async {
                        sleep(ms(1)).await;
                        "ours"
                    },
                );
                assert_eq!(first.await, "ours");
            }
        })
    });
}

// S1, S16
#[test]
fn a_job_awaits_other_peoples_reactors_on_its_own_loop() {
    watched(|| {
        let home = me();
        let threads = run(async {
            let job = || {
                let timer = async || {
                    Timer::after(ms(1)).await;
                    me()
                };
                let tokios = || {
                    Compat::new(async {
                        tokio::time::sleep(ms(1)).await;
                        me()
                    })
                };
                [syncify(timer)(), syncify(tokios)()]
            };
            gather((0..10).map(|_| spawn_blocking(job))).await
        });
        assert_eq!(threads, vec![[Ok(home); 2]; 10]);
    });
}
