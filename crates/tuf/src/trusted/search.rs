//! The search for a target: through the delegations, in order of trust (TUF §5.6.7).

use super::{Place, Step, TrustedSet, role_at};
use crate::role::TargetFile;
use crate::{Error, MAX_DELEGATIONS, Role, RoleName, TargetPath};

/// What is known of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sought {
    /// Metadata is missing: [`TrustedSet::wanted`] says which. Seek again after it was taken.
    More,
    /// It is trusted as this.
    Found(TargetFile),
    /// Nobody who may has signed a target at this path.
    None,
}

impl TrustedSet {
    /// Looks for the target at `path`, in the top-level targets first, then in what is delegated, depth first and in order of trust.
    pub fn seek(&mut self, path: &TargetPath) -> Result<Sought, Error> {
        if self.targets.is_none() {
            return Ok(Sought::More);
        }
        self.step = Step::Done;
        let mut visited: Vec<RoleName> = Vec::new();
        // Each with what delegates to it; nothing does to the top level. The next one is at the end.
        let mut open: Vec<Option<(Option<Place>, RoleName)>> = vec![None];
        while let Some(next) = open.pop() {
            let mut place = None;
            if let Some((above, name)) = next {
                if visited.contains(&name) {
                    continue;
                }
                if visited.len() == MAX_DELEGATIONS {
                    return Err(Error::TooManyDelegations { limit: MAX_DELEGATIONS });
                }
                visited.push(name.clone());
                let own = (role_at(above.as_ref()), name.clone());
                if !self.delegated.contains_key(&own) {
                    if !self.snapshot()?.delegated.contains_key(&name) {
                        return Err(Error::Unlisted { role: Role::Delegated(name) });
                    }
                    self.step = Step::Delegated(above, name);
                    return Ok(Sought::More);
                }
                place = Some(own);
            }
            let Some(targets) = self.at(place.as_ref()) else { return Ok(Sought::More) };
            if let Some(file) = targets.targets.get(path) {
                return Ok(Sought::Found(file.clone()));
            }
            let mut children = Vec::new();
            for child in targets.delegations.iter().flat_map(|delegations| &delegations.roles) {
                if !child.paths.iter().any(|pattern| pattern.matches(path)) {
                    continue;
                }
                children.push(Some((place.clone(), child.name.clone())));
                if child.terminating {
                    // Neither a later sibling nor one of its ancestors' is asked.
                    open.clear();
                    break;
                }
            }
            open.extend(children.into_iter().rev());
        }
        Ok(Sought::None)
    }
}
