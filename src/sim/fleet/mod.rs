//! The default fleet: believable devices that a playbook's targets select, some that they do not, and on a
//! few of them something to find.

pub(super) mod image;
mod naming;

use super::device::SimDevice;
use super::endpoint::content::mix;
use crate::model::device::Os;
use naming::Names;
use std::collections::BTreeMap;

/// What a playbook's targets select, as far as a fleet can be made to fit.
///
/// Names and ids unite; families and exclusions narrow. An empty list asks for nothing in particular.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub os: Vec<Os>,
    /// Globs.
    pub names: Vec<String>,
    pub ids: Vec<u64>,
    /// Globs; they always win.
    pub exclude: Vec<String>,
}

/// Windows mostly, and every family among the first five.
const MIX: [Os; 10] = [
    Os::Windows,
    Os::Windows,
    Os::Linux,
    Os::Windows,
    Os::Macos,
    Os::Windows,
    Os::Windows,
    Os::Linux,
    Os::Windows,
    Os::Windows,
];

const USERS: [&str; 12] = [
    "amartin", "bkaya", "cnovak", "dsilva", "ekim", "fweber", "gokafor", "hlind", "ijones", "jdoe",
    "kperez", "lrossi",
];

/// `selected` online devices that fit `wanted`, and a fifth as many (rounded up) that do not.
///
/// Fewer come when the names allow no more: a glob without a wildcard names one device. None of the
/// others come when everything is wanted. The same arguments give the same fleet.
pub fn fleet(selected: usize, wanted: &Wanted, seed: u64) -> Vec<SimDevice> {
    let mut maker = Maker::new(wanted, seed);
    let mut devices: Vec<SimDevice> = (0..selected)
        .map_while(|index| maker.selected(index))
        .collect();
    let others = selected.div_ceil(5);
    devices.extend((0..others).map_while(|index| maker.other(index)));
    devices
}

/// Makes one device after another; no name and no number comes twice.
pub(super) struct Maker<'a> {
    wanted: &'a Wanted,
    names: Names<'a>,
    next_id: u64,
    seed: u64,
    /// Selected devices so far, by family.
    made: BTreeMap<Os, usize>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(wanted: &'a Wanted, seed: u64) -> Self {
        Self {
            names: Names::new(wanted),
            wanted,
            next_id: 3_000_000 + mix(seed) % 90 * 10_000,
            seed,
            made: BTreeMap::new(),
        }
    }
}

impl Maker<'_> {
    /// One more, of this family or of whichever is next; name and number are none of the wanted ones.
    pub(super) fn usual(&mut self, index: usize, os: Option<Os>) -> (u64, String, Os) {
        let os = os.unwrap_or(MIX[index % MIX.len()]);
        (self.free_id(), self.names.natural(os), os)
    }

    /// Whether findings lie on the next device of a family: on the second and on every fifth after it, so
    /// that a mixed fleet has something of each.
    pub(super) fn is_planted(&mut self, os: Os) -> bool {
        let nth = self.made.entry(os).or_default();
        *nth += 1;
        *nth % 5 == 2
    }

    /// Who is logged in there unless somebody says otherwise.
    pub(super) fn user(&self, id: u64) -> &'static str {
        USERS[usize::try_from(mix(id ^ self.seed) % USERS.len() as u64).unwrap_or(0)]
    }

    fn selected(&mut self, index: usize) -> Option<SimDevice> {
        let os = family(index, |os| {
            self.wanted.os.is_empty() || self.wanted.os.contains(&os)
        })?;
        let (id, name) = match self.wanted.ids.get(index) {
            Some(id) => (*id, self.names.natural(os)),
            None if self.wanted.names.is_empty() && !self.wanted.ids.is_empty() => return None,
            None => (self.free_id(), self.names.fitting(os)?),
        };
        let mut device = self.furnish(id, name, os);
        if self.is_planted(os) {
            device.planted = image::plant_findings(&mut device);
        }
        Some(device)
    }

    /// A device that is not meant, for each reason in turn that there can be.
    fn other(&mut self, index: usize) -> Option<SimDevice> {
        let wanted = self.wanted;
        let foreign = family(index, |os| {
            !wanted.os.is_empty() && !wanted.os.contains(&os)
        });
        let usual = family(index, |os| wanted.os.is_empty() || wanted.os.contains(&os))?;
        let mut ways: Vec<(Os, bool)> = Vec::new();
        if let Some(os) = foreign {
            ways.push((os, false));
        }
        if !wanted.exclude.is_empty() {
            ways.push((usual, true));
        }
        if !wanted.names.is_empty() || !wanted.ids.is_empty() {
            ways.push((usual, false));
        }
        // The next way is taken where the first cannot be gone any further.
        for turn in 0..ways.len() {
            let (os, excluded) = ways[(index + turn) % ways.len()];
            let name = if excluded {
                self.names.excluded()
            } else if foreign == Some(os) {
                Some(self.names.natural(os))
            } else {
                self.names.unfitting()
            };
            if let Some(name) = name {
                let id = self.free_id();
                return Some(self.furnish(id, name, os));
            }
        }
        None
    }

    pub(super) fn free_id(&mut self) -> u64 {
        self.next_id += 1;
        while self.wanted.ids.contains(&self.next_id) {
            self.next_id += 1;
        }
        self.next_id
    }

    fn furnish(&self, id: u64, name: String, os: Os) -> SimDevice {
        let mut device = SimDevice::new(id, name, os);
        self.user(id).clone_into(&mut device.user);
        image::furnish(&mut device);
        device
    }
}

/// The family of the device at `index`, among those that `fits` allows.
fn family(index: usize, fits: impl Fn(Os) -> bool) -> Option<Os> {
    let fitting: Vec<Os> = MIX.into_iter().filter(|os| fits(*os)).collect();
    (!fitting.is_empty()).then(|| fitting[index % fitting.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use globset::Glob;
    use std::collections::BTreeSet;

    fn wanted(os: &[Os], names: &[&str], ids: &[u64], exclude: &[&str]) -> Wanted {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        Wanted {
            os: os.to_vec(),
            names: owned(names),
            ids: ids.to_vec(),
            exclude: owned(exclude),
        }
    }

    fn selects(wanted: &Wanted, device: &SimDevice) -> bool {
        let fits = |globs: &[String]| {
            globs.iter().any(|glob| {
                Glob::new(glob)
                    .expect("a glob")
                    .compile_matcher()
                    .is_match(&device.name)
            })
        };
        let nothing_named = wanted.names.is_empty() && wanted.ids.is_empty();
        (wanted.os.is_empty() || wanted.os.contains(&device.os))
            && (nothing_named || fits(&wanted.names) || wanted.ids.contains(&device.id))
            && !fits(&wanted.exclude)
    }

    #[test]
    fn a_fleet_has_what_is_wanted_and_a_fifth_of_what_is_not() {
        let w = [Os::Windows];
        let table = [
            (wanted(&[], &[], &[], &[]), 10, 10, 0),
            (wanted(&w, &[], &[], &[]), 12, 12, 3),
            (
                wanted(&w, &["WS-*"], &[], &["WS-0003", "DC-*"]),
                1200,
                1200,
                240,
            ),
            (
                wanted(&[], &["LAB-??", "x[ab]-{one,two}"], &[], &[]),
                30,
                30,
                6,
            ),
            (wanted(&[], &[], &[], &["DC-*"]), 7, 7, 2),
            (wanted(&[], &[], &[7, 9], &[]), 5, 2, 1),
            (wanted(&[], &["FIN-*"], &[7], &[]), 6, 6, 2),
            (wanted(&w, &["only-this"], &[], &[]), 5, 1, 1),
            (wanted(&[Os::Linux, Os::Macos], &["*"], &[], &[]), 5, 5, 1),
        ];
        for (wanted, asked, selected, others) in table {
            let made = fleet(asked, &wanted, 1);
            let fitting = made.iter().filter(|d| selects(&wanted, d)).count();
            assert_eq!(fitting, selected, "{wanted:?}");
            assert!(made.len() - fitting <= asked.div_ceil(5), "{wanted:?}");
            assert!(
                made.len() - fitting >= others,
                "{wanted:?}: {}",
                made.len() - fitting
            );
            assert!(made.iter().all(SimDevice::is_online));
            let ids: BTreeSet<u64> = made.iter().map(|d| d.id).collect();
            let names: BTreeSet<&str> = made.iter().map(|d| d.name.as_str()).collect();
            assert_eq!(
                (ids.len(), names.len()),
                (made.len(), made.len()),
                "{wanted:?}"
            );
        }
    }

    #[test]
    fn findings_lie_on_every_fifth_of_a_family_from_the_second() {
        let made = fleet(25, &wanted(&[], &[], &[], &[]), 1);
        for os in Os::NAMED {
            let family = made[..25].iter().filter(|device| device.os == os);
            let planted: Vec<usize> = family
                .enumerate()
                .filter(|(_, device)| device.planted)
                .map(|(nth, _)| nth)
                .collect();
            assert_eq!(
                planted,
                (1..25).step_by(5).take(planted.len()).collect::<Vec<_>>()
            );
            assert!(!planted.is_empty(), "{os}");
        }
    }
}
