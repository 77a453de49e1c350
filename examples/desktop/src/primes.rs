//! The computation: blocking code, which knows nothing of windows.

use footbridge::{Cancelled, check_cancelled};

/// How many primes there are below `limit`. Tells how many per cent of the numbers it has been through, and ends when nobody
/// waits for the answer any more.
pub fn count(limit: u32, tell: impl Fn(u32)) -> Result<u32, Cancelled> {
    let mut primes = 0;
    for percent in 0..100 {
        check_cancelled()?;
        tell(percent);
        let first = |percent: u32| (u64::from(limit) * u64::from(percent) / 100) as u32;
        primes += (first(percent)..first(percent + 1))
            .filter(|number| is_prime(*number))
            .count() as u32;
    }
    Ok(primes)
}

fn is_prime(number: u32) -> bool {
    let number = u64::from(number);
    let mut factors = (2..).take_while(|factor| factor * factor <= number);
    number > 1 && factors.all(|factor| number % factor != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn there_are_168_primes_below_a_thousand() {
        let told = Cell::new(0);
        assert_eq!(count(1000, |_| told.set(told.get() + 1)).ok(), Some(168));
        assert_eq!(told.get(), 100);
    }
}
