//! Which method a path is, and who may call it. A method without a row is denied to everyone.

use wardein_domain::{EstOperation, Method};

/// A method that can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// One of the authority's own; its row is in the domain's table.
    Own(Method),
    /// One of those in [`PUBLIC`], by its path.
    Public(&'static str),
    /// EST, on its own listener.
    Est(EstOperation),
}

impl Route {
    pub(crate) fn of(path: &str) -> Option<Self> {
        let public = || PUBLIC.iter().find(|public| **public == path).map(|public| Self::Public(public));
        Method::from_path(path).map(Self::Own).or_else(public)
    }

    /// The most bytes of one of its messages, as the descriptions of its fields have it.
    pub(crate) fn message_bytes(self) -> usize {
        match self {
            // The name of a service, or of what is described.
            Self::Public(_) => KIB,
            Self::Est(_) => wardein_pki::est::MAX_BODY_LEN,
            Self::Own(method) => match method {
                Method::GetChallenge
                | Method::Confirm
                | Method::ConfirmEnrollment
                | Method::Watch
                | Method::GetTrustBundle => KIB,
                // A certificate request, a quote, the digests of 64 attributes; a certificate, a payload of 8 KiB.
                Method::Prove
                | Method::ProveBySignature
                | Method::Check
                | Method::VerifyToken
                | Method::ReleaseKey
                | Method::Open => 16 * KIB,
                // A certificate request.
                Method::RedeemInvitation => 8 * KIB,
                // 1,024 ids.
                Method::CheckStream => 160 * KIB,
                // 1,000 stanzas: the longest name of a key, the 32 bytes of a body, and their frames.
                Method::ReleaseFileKeys => 320 * KIB,
                // 64 attributes of 4 KiB.
                Method::Enroll | Method::EnrollStream => 512 * KIB,
                // The PEM of as many vendors' certificates as a key policy takes.
                Method::PutKeyPolicy => wardein_pki::pem::MAX_BUNDLE_LEN + 4 * KIB,
                _ => 64 * KIB,
            },
        }
    }

    /// How many trust queries one of its calls is worth, by the processor time that it takes (`cargo bench --bench load`): an operator's
    /// rate counts those. Messages of streams count by themselves.
    pub(crate) fn cost(self) -> u32 {
        match self {
            Self::Public(_) | Self::Est(_) => 1,
            Self::Own(method) => match method {
                // An agreement of keys, an epoch tree, and a commit that is synced.
                Method::Enroll
                | Method::Confirm
                | Method::BeginTpmEnrollment
                | Method::FinishTpmEnrollment
                | Method::EnrollKey
                | Method::MakeVoucher => DURABLE,
                // From memory; what they carry is counted elsewhere.
                _ => 1,
            },
        }
    }

    /// Whether any number of messages comes.
    pub(crate) fn takes_stream(self) -> bool {
        matches!(
            self,
            Self::Own(Method::EnrollStream | Method::CheckStream)
                | Self::Public(REFLECTION | REFLECTION_ALPHA)
        )
    }

    /// Whether it is a stream that needs no certificate, and would have no end by itself.
    pub(crate) fn is_public_stream(self) -> bool {
        matches!(self, Self::Public(WATCH | REFLECTION | REFLECTION_ALPHA))
    }

    pub(crate) fn method(self) -> Option<Method> {
        match self {
            Self::Own(method) => Some(method),
            Self::Public(_) | Self::Est(_) => None,
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Own(method) => method.path(),
            Self::Public(path) => path,
            Self::Est(operation) => operation.path(),
        }
    }
}

/// Open to everyone, within the rate of open methods. Health: load balancers and orchestrators have no identity here, and learn
/// only whether the service takes calls. Reflection: it serves the contents of `proto/`, which is published.
pub(crate) const PUBLIC: [&str; 4] = ["/grpc.health.v1.Health/Check", WATCH, REFLECTION, REFLECTION_ALPHA];

const WATCH: &str = "/grpc.health.v1.Health/Watch";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const REFLECTION_ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

const KIB: usize = 1024;

/// An enrollment with its confirmation takes twelve times as long as a trust query.
const DURABLE: u32 = 6;
