//! What may run anywhere and what may not: one list behind EDR's banned hashes and App Control's rules.

use super::catalogue::Hashes;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Approved,
    Banned,
}

/// What was decided about a file.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    names: Names,
    pub verdict: Verdict,
    /// On whose devices alone it holds, by policy; everywhere if there are none.
    pub policies: Vec<u64>,
    pub text: String,
    /// Who decided it first.
    pub who: String,
    /// When, since the world began.
    pub at: Duration,
    pub enabled: bool,
    /// Every decision about it, oldest first.
    pub audit: Vec<Decision>,
    pub blocks: u64,
    pub last_block: Option<Block>,
}

/// By which hashes the file is known, in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Names {
    md5: Option<String>,
    sha1: Option<String>,
    sha256: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    pub who: String,
    pub at: Duration,
    pub text: String,
    pub enabled: bool,
}

/// Something that was not allowed to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub at: Duration,
    pub device: u64,
    pub host: String,
}

#[derive(Debug, Default)]
pub(super) struct Bans {
    rules: Vec<Rule>,
}

impl Names {
    /// None if it is no hash of a kind that there is.
    fn of(hash: &str) -> Option<Self> {
        let hash = hash.to_ascii_lowercase();
        let is_hex = hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut names = Self::default();
        let slot = match hash.len() {
            32 => &mut names.md5,
            40 => &mut names.sha1,
            64 => &mut names.sha256,
            _ => return None,
        };
        *slot = Some(hash);
        is_hex.then_some(names)
    }

    fn all(hashes: &Hashes) -> Self {
        Self {
            md5: Some(hashes.md5.clone()),
            sha1: Some(hashes.sha1.clone()),
            sha256: Some(hashes.sha256.clone()),
        }
    }

    fn known(&self) -> impl Iterator<Item = &String> {
        [&self.md5, &self.sha1, &self.sha256].into_iter().flatten()
    }

    fn is(&self, hash: &str) -> bool {
        self.known().any(|own| own.eq_ignore_ascii_case(hash))
    }

    fn fits(&self, hashes: &Hashes) -> bool {
        self.known().any(|own| hashes.has(own))
    }
}

impl Rule {
    pub(super) fn md5(&self) -> Option<&str> {
        self.names.md5.as_deref()
    }

    /// Any of its names: the longest that is known.
    pub(super) fn hash(&self) -> &str {
        let names = &self.names;
        let longest = names.sha256.as_ref().or(names.sha1.as_ref());
        longest.or(names.md5.as_ref()).map_or("", String::as_str)
    }

    /// Are all its names known, as they are once some device has had the file?
    pub(super) fn is_known(&self) -> bool {
        self.names.known().count() == 3
    }

    pub(super) fn is_ban(&self) -> bool {
        self.verdict == Verdict::Banned
    }

    /// Does it hold on devices of a policy, or everywhere?
    fn holds(&self, policy: Option<u64>) -> bool {
        let among = |policy| self.policies.contains(&policy);
        self.enabled && (self.policies.is_empty() || policy.is_some_and(among))
    }

    /// Writes a further decision about it.
    pub(super) fn decide(&mut self, decision: Decision) {
        self.text.clone_from(&decision.text);
        self.enabled = decision.enabled;
        self.audit.push(decision);
    }
}

impl Bans {
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Oldest first.
    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(super) fn find(&self, hash: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.names.is(hash))
    }

    pub(super) fn find_mut(&mut self, hash: &str) -> Option<&mut Rule> {
        self.rules.iter_mut().find(|rule| rule.names.is(hash))
    }

    /// By its place among them.
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Rule> {
        self.rules.get_mut(at)
    }

    /// What holds for a file, on devices of a policy or everywhere; who bans wins.
    pub(super) fn verdict(&self, hashes: &Hashes, policy: Option<u64>) -> Option<Verdict> {
        let fitting = self.rules.iter();
        let mut fitting = fitting.filter(|rule| rule.holds(policy) && rule.names.fits(hashes));
        let first = fitting.next()?;
        let banned = first.is_ban() || fitting.any(Rule::is_ban);
        Some(if banned {
            Verdict::Banned
        } else {
            Verdict::Approved
        })
    }

    /// Decides about a file everywhere, by one of its hashes, and by all of them where they are known. None if
    /// it is no hash.
    pub(super) fn set(
        &mut self,
        hash: &str,
        known: Option<&Hashes>,
        verdict: Verdict,
        decision: Decision,
    ) -> Option<&Rule> {
        let names = known.map_or_else(|| Names::of(hash), |hashes| Some(Names::all(hashes)))?;
        let there = self.rules.iter().position(|rule| {
            rule.names.is(hash) || known.is_some_and(|hashes| rule.names.fits(hashes))
        });
        let at = there.unwrap_or_else(|| {
            self.rules.push(Rule {
                names: names.clone(),
                verdict,
                policies: Vec::new(),
                text: String::new(),
                who: decision.who.clone(),
                at: decision.at,
                enabled: true,
                audit: Vec::new(),
                blocks: 0,
                last_block: None,
            });
            self.rules.len() - 1
        });
        let rule = self.rules.get_mut(at)?;
        if known.is_some() {
            rule.names = names;
        }
        rule.verdict = verdict;
        rule.policies.clear();
        rule.decide(decision);
        Some(rule)
    }

    /// Is it banned on devices of the policy? It is counted then.
    pub(super) fn block(&mut self, hashes: &Hashes, policy: u64, block: Block) -> bool {
        let mut rules = self.rules.iter_mut();
        let rule = rules.find(|r| r.holds(Some(policy)) && r.is_ban() && r.names.fits(hashes));
        let Some(rule) = rule else {
            return false;
        };
        rule.blocks += 1;
        rule.last_block = Some(block);
        true
    }

    /// Are all names of all files known?
    pub(super) fn are_known(&self) -> bool {
        self.rules.iter().all(Rule::is_known)
    }

    /// Writes down all names of a file that some device has.
    pub(super) fn complete(&mut self, hashes: &Hashes) {
        let lacking = self.rules.iter_mut().filter(|rule| !rule.is_known());
        for rule in lacking.filter(|rule| rule.names.fits(hashes)) {
            rule.names = Names::all(hashes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(text: &str, enabled: bool) -> Decision {
        Decision {
            who: "analyst".into(),
            at: Duration::from_secs(3),
            text: text.into(),
            enabled,
        }
    }

    fn block() -> Block {
        Block {
            at: Duration::from_secs(9),
            device: 7,
            host: "WS-7".into(),
        }
    }

    #[test]
    fn a_file_is_banned_by_any_of_its_hashes() {
        let (abc, other) = (Hashes::of_text("abc"), Hashes::of_text("abd"));
        for hash in [&abc.md5, &abc.sha1, &abc.sha256.to_uppercase()] {
            let mut bans = Bans::default();
            let set = bans.set(hash, None, Verdict::Banned, decision("why", true));
            assert!(set.is_some(), "{hash}");
            assert_eq!(bans.verdict(&abc, None), Some(Verdict::Banned));
            assert_eq!(bans.verdict(&other, None), None);
            assert!(bans.block(&abc, 1, block()) && !bans.block(&other, 1, block()));
            bans.complete(&other);
            assert!(!bans.are_known());
            bans.complete(&abc);
            assert!(bans.are_known());
            let rule = bans.find(&abc.md5).expect("known by all of them");
            assert_eq!((rule.blocks, rule.last_block.clone()), (1, Some(block())));
        }
    }

    #[test]
    fn a_file_has_one_rule_and_the_last_decision_holds() {
        let abc = Hashes::of_text("abc");
        let mut bans = Bans::default();
        bans.set(&abc.md5, None, Verdict::Banned, decision("bad", true));
        bans.set(
            &abc.sha256,
            Some(&abc),
            Verdict::Approved,
            decision("good", true),
        );
        assert_eq!(bans.rules().len(), 1);
        assert_eq!(bans.verdict(&abc, None), Some(Verdict::Approved));
        assert!(!bans.block(&abc, 1, block()));
        let rule = bans.find_mut(&abc.sha1).expect("there");
        rule.decide(decision("", false));
        assert_eq!((rule.text.as_str(), rule.audit.len()), ("", 3));
        assert_eq!(bans.verdict(&abc, None), None);
    }

    #[test]
    fn a_rule_can_be_for_devices_of_some_policies() {
        let abc = Hashes::of_text("abc");
        let mut bans = Bans::default();
        bans.set(&abc.md5, None, Verdict::Banned, decision("bad", true));
        bans.get_mut(0).expect("there").policies = vec![7, 8];
        assert_eq!(bans.verdict(&abc, None), None);
        assert_eq!(bans.verdict(&abc, Some(6)), None);
        assert_eq!(bans.verdict(&abc, Some(8)), Some(Verdict::Banned));
        assert!(!bans.block(&abc, 6, block()) && bans.block(&abc, 7, block()));
        bans.set(&abc.md5, None, Verdict::Banned, decision("bad", true));
        assert!(bans.block(&abc, 6, block()));
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let mut bans = Bans::default();
        for hash in ["", "abc", &"g".repeat(32), &"a".repeat(33), &"é".repeat(16)] {
            let set = bans.set(hash, None, Verdict::Banned, decision("", true));
            assert!(set.is_none(), "{hash}");
        }
        assert!(bans.is_empty());
    }
}
