//! Places in the source, each as a number of a few bits.
//!
//! A table for the whole process maps a place to its number and back. It only grows, and is read without a lock: a place
//! is looked for from the slot that its address gives, slot by slot, until it or an empty slot is found. The look ends after
//! [`PROBES`] slots, so a place for which there is no room costs no walk through the table at each of its steps.

use crate::sync::OnceLock;
use std::panic::Location;

/// A place in the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Site(u16);

/// How many bits a site has.
pub(crate) const SITE_BITS: u32 = 12;

const SLOTS: usize = 1 << SITE_BITS;

static PLACES: [OnceLock<&'static Location<'static>>; SLOTS] = [const { OnceLock::new() }; SLOTS];

/// A place is in one of so many slots. If the table is half full, hardly any place finds all of its own taken.
const PROBES: usize = 64;

/// A site that stands for each place beyond those that the table has room for.
static UNLISTED: &Location<'static> = Location::caller();

impl Site {
    /// Not in the table: the place of a site that was found in no slot.
    pub(crate) const UNLISTED: Self = Self(0);

    /// The number of a place. The first call for a place adds it to the table.
    #[inline(never)] // It is large, and most steps are polls of tasks, which know their site.
    pub(crate) fn of(place: &'static Location<'static>) -> Self {
        let start = start_of(place);
        for slot in (0..PROBES).map(|probe| (start + probe) % SLOTS) {
            if slot != Self::UNLISTED.0.into() && is_in(slot, place) {
                return Self(slot as u16);
            }
        }
        Self::UNLISTED
    }

    pub(crate) fn place(self) -> &'static Location<'static> {
        PLACES[usize::from(self.0)].get().unwrap_or(&UNLISTED)
    }

    pub(crate) fn bits(self) -> u16 {
        self.0
    }

    /// The site with these bits, which come from [`bits`](Self::bits).
    pub(crate) fn from_bits(bits: usize) -> Self {
        Self((bits % SLOTS) as u16)
    }
}

/// The first slot that a place may be in.
fn start_of(place: &'static Location<'static>) -> usize {
    // Places lie close together, so neighbours go to different slots: the address times a large odd number.
    let address = std::ptr::from_ref(place).addr();
    (address.wrapping_mul(0x9E37_79B1) >> 8) % SLOTS
}

/// Whether the slot has this place. An empty slot gets it.
fn is_in(slot: usize, place: &'static Location<'static>) -> bool {
    std::ptr::eq(*PLACES[slot].get_or_init(|| place), place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> [&'static Location<'static>; 3] {
        [Location::caller(), Location::caller(), Location::caller()]
    }

    #[test]
    fn a_place_whose_slots_are_all_taken_is_unlisted_and_takes_no_other_slot() {
        // Copies of a place, which have addresses of their own.
        let copies: &'static [Location<'static>] =
            vec![*Location::caller(); 2 * PROBES * SLOTS].leak();
        let start = (1..SLOTS).find(|start| !places().map(start_of).contains(start));
        let start = start.unwrap();
        let alike = copies.iter().filter(|copy| start_of(copy) == start);
        let sites: Vec<Site> = alike.map(Site::of).collect();
        let (unlisted, listed): (Vec<Site>, Vec<Site>) =
            sites.iter().partition(|site| **site == Site::UNLISTED);
        assert!(sites.len() > PROBES && !listed.is_empty() && !unlisted.is_empty());
        for site in listed {
            assert!((start..start + PROBES).contains(&site.bits().into()));
        }
        assert_eq!(Site::UNLISTED.place().file(), file!());
    }

    #[test]
    fn a_place_has_one_number_and_the_number_leads_back_to_the_place() {
        let sites = places().map(Site::of);
        assert_eq!(sites, places().map(Site::of));
        for (site, place) in sites.into_iter().zip(places()) {
            assert!(std::ptr::eq(site.place(), place));
            assert_eq!(Site::from_bits(usize::from(site.bits())), site);
        }
        assert!(sites[0] != sites[1] && sites[1] != sites[2]);
    }
}
