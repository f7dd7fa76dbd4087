//! A product line: the role that the top level delegates to, with all that it has.

use super::{Place, Sought, Step, TrustedSet};
use crate::role::TargetFile;
use crate::{Error, Role, RoleName, TargetPath};

impl TrustedSet {
    /// The artifacts that the line `name` has signed at paths which are its own; `None` while metadata is missing: [`TrustedSet::wanted`] says
    /// which. Ask again after it was taken.
    pub fn line(&mut self, name: &RoleName) -> Result<Option<Vec<(TargetPath, TargetFile)>>, Error> {
        let Some(targets) = &self.targets else { return Ok(None) };
        let role = || Role::Delegated(name.clone());
        let delegated = targets.delegations.iter().flat_map(|delegations| &delegations.roles);
        if !delegated.clone().any(|delegated| delegated.name == *name) {
            return Err(Error::Missing { role: role() });
        }
        let place: Place = (Role::Targets, name.clone());
        let Some(own) = self.delegated.get(&place) else {
            if !self.snapshot()?.delegated.contains_key(name) {
                return Err(Error::Unlisted { role: role() });
            }
            self.step = Step::Delegated(None, name.clone());
            return Ok(None);
        };
        let paths: Vec<_> = own.targets.keys().cloned().collect();
        let mut found = Vec::new();
        for path in paths {
            match self.seek(&path)? {
                Sought::Found(file) => {
                    let own = self.delegated.get(&place).and_then(|own| own.targets.get(&path));
                    // What another line has at this path, or the top level, is not this one's.
                    if own == Some(&file) {
                        found.push((path, file));
                    }
                }
                Sought::None => {}
                // A line before this one has a pattern that matches.
                Sought::More => return Ok(None),
            }
        }
        self.step = Step::Done;
        Ok(Some(found))
    }
}
