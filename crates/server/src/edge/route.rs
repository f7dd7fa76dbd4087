//! Which method a path is, and who may call it. A method without a row is denied to everyone.

use wardein_domain::Method;

/// A method that can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// One of the authority's own; its row is in the domain's table.
    Own(Method),
    /// One of those in [`PUBLIC`], by its path.
    Public(&'static str),
}

impl Route {
    pub(crate) fn of(path: &str) -> Option<Self> {
        let public = || PUBLIC.iter().find(|public| **public == path).map(|public| Self::Public(public));
        Method::from_path(path).map(Self::Own).or_else(public)
    }

    pub(crate) fn method(self) -> Option<Method> {
        match self {
            Self::Own(method) => Some(method),
            Self::Public(_) => None,
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Own(method) => method.path(),
            Self::Public(path) => path,
        }
    }
}

/// Open to everyone, within the rate of open methods. Health: load balancers and orchestrators have no identity here, and learn
/// only whether the service takes calls. Reflection: it serves the contents of `proto/`, which is published.
pub(crate) const PUBLIC: [&str; 3] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];
