//! Places in the source, each as a number of a few bits.
//!
//! A table for the whole process maps a place to its number and back. It only grows, and is read without a lock: a place
//! is looked for from the slot that its address gives, slot by slot, until it or an empty slot is found.

use crate::sync::OnceLock;
use std::panic::Location;

/// A place in the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Site(u16);

/// How many bits a site has.
pub(crate) const SITE_BITS: u32 = 12;

const SLOTS: usize = 1 << SITE_BITS;

static PLACES: [OnceLock<&'static Location<'static>>; SLOTS] = [const { OnceLock::new() }; SLOTS];

/// A site that stands for each place beyond those that the table has room for.
static UNLISTED: &Location<'static> = Location::caller();

impl Site {
    /// Not in the table: the place of a site that was found in no slot.
    pub(crate) const UNLISTED: Self = Self(0);

    /// The number of a place. The first call for a place adds it to the table.
    #[inline(never)] // It is large, and most steps are polls of tasks, which know their site.
    pub(crate) fn of(place: &'static Location<'static>) -> Self {
        // Places lie close together, so neighbours go to different slots: the address times a large odd number.
        let address = std::ptr::from_ref(place).addr();
        let start = address.wrapping_mul(0x9E37_79B1) >> 8;
        for slot in (0..SLOTS).map(|step| (start + step) % SLOTS) {
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

/// Whether the slot has this place. An empty slot gets it.
fn is_in(slot: usize, place: &'static Location<'static>) -> bool {
    std::ptr::eq(*PLACES[slot].get_or_init(|| place), place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_one_number_and_the_number_leads_back_to_the_place() {
        let places = [Location::caller(), Location::caller(), Location::caller()];
        let sites = places.map(Site::of);
        assert_eq!(sites, places.map(Site::of));
        for (site, place) in sites.into_iter().zip(places) {
            assert!(std::ptr::eq(site.place(), place));
            assert_eq!(Site::from_bits(usize::from(site.bits())), site);
        }
        assert!(sites[0] != sites[1] && sites[1] != sites[2]);
    }
}
