//! `UpdateService`.

use super::world::{Expected, World, malformed};
use tonic::Code;
use wardein_client::v1;
use wardein_crypto::P256SigningKey;
use wardein_domain::Method;

pub(super) const NO_REPOSITORY: Expected = (Code::NotFound, "repository-unknown", "no repository");
pub(super) const NO_LINE: Expected = (Code::NotFound, "line-unknown", "no product line");

pub(super) fn denied(method: &'static str) -> Expected {
    (Code::PermissionDenied, "role-denied", method)
}

fn custody() -> Option<v1::UpdateKeys> {
    Some(v1::UpdateKeys::default())
}

fn offline(pem: &[&str], threshold: u32) -> Option<v1::UpdateKeys> {
    Some(v1::UpdateKeys { offline_pem: pem.iter().map(ToString::to_string).collect(), threshold })
}

fn pem() -> String {
    let key = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
    wardein_tuf::Key::p256(key.verifying_key()).to_pem()
}

fn line(name: &str) -> v1::CreateProductLineRequest {
    v1::CreateProductLineRequest {
        repository: "maker".into(),
        name: name.into(),
        paths: vec!["pumps/*".into()],
        keys: custody(),
        managers: vec!["eva".into()],
    }
}

/// Puts release 5 on record.
async fn added(world: &World) {
    let order = v1::AddReleaseRequest { release: Some(release(5)), ..Default::default() };
    world.admin.updates().add_release(order).await.unwrap();
}

fn release(version: u64) -> v1::Release {
    v1::Release {
        repository: "maker".into(),
        line: "pumps".into(),
        version,
        label: "2.0".into(),
        models: vec!["pump-3".into()],
        path: format!("pumps/{version}.img"),
        length: 8,
        sha256: vec![1; 32],
        ..Default::default()
    }
}

/// A world with the repository `maker` and its line `pumps`, which the release manager there does not see.
pub(super) async fn world() -> World {
    let world = World::new().await;
    let create = v1::CreateUpdateRepositoryRequest { name: "maker".into(), keys: custody() };
    world.admin.updates().create_update_repository(create).await.unwrap();
    world.admin.updates().create_product_line(line("pumps")).await.unwrap();
    world
}

#[tokio::test]
async fn create_update_repository() {
    let world = world().await;
    let (admin, key) = (&world.admin, pem());
    let named = |name: &str, keys| v1::CreateUpdateRepositoryRequest { name: name.into(), keys };
    let no_key = "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n";
    let exists = (Code::AlreadyExists, "repository-exists", "other keys");
    let rows = [
        ("nothing", admin, v1::CreateUpdateRepositoryRequest::default(), malformed("name")),
        ("a path", admin, named("../x", custody()), malformed("name")),
        ("no keys", admin, named("x", None), malformed("keys")),
        ("a threshold of none", admin, named("x", offline(&[], 1)), malformed("threshold")),
        ("none of one", admin, named("x", offline(&[&key], 0)), malformed("threshold")),
        ("two of one", admin, named("x", offline(&[&key], 2)), malformed("threshold")),
        ("one key twice", admin, named("x", offline(&[&key, &key], 1)), malformed("keys")),
        ("no PEM", admin, named("x", offline(&["x"], 1)), malformed("keys")),
        ("no key", admin, named("x", offline(&[no_key], 1)), malformed("keys")),
        ("too much", admin, named("x", offline(&[&"x".repeat(2000)], 1)), malformed("keys")),
        ("other keys", admin, named("maker", offline(&[&key], 1)), exists),
        (
            "a tenant's administrator",
            &world.tenant_admin,
            named("x", custody()),
            denied("CreateUpdateRepository"),
        ),
        (
            "a release manager",
            &world.release_manager,
            named("x", custody()),
            denied("CreateUpdateRepository"),
        ),
    ];
    world.refuses(Method::CreateUpdateRepository, rows).await;
}

#[tokio::test]
async fn list_update_repositories() {
    let world = world().await;
    let (all, method) = (v1::ListUpdateRepositoriesRequest {}, "ListUpdateRepositories");
    let rows = [
        ("a tenant's administrator", &world.tenant_admin, all, denied(method)),
        ("a release manager", &world.release_manager, all, denied(method)),
    ];
    world.refuses(Method::ListUpdateRepositories, rows).await;
    // An auditor of a tenant has no part in it.
    let found = world.auditor.updates().list_update_repositories(all).await.unwrap().into_inner();
    assert_eq!(found.repositories, []);
}

#[tokio::test]
async fn rotate_update_root() {
    let world = world().await;
    let admin = &world.admin;
    let of = |repository: &str, keys, reason: &str| v1::RotateUpdateRootRequest {
        repository: repository.into(),
        keys,
        reason: reason.into(),
        line: String::new(),
    };
    let line = |line: &str| v1::RotateUpdateRootRequest { line: line.into(), ..of("maker", custody(), "x") };
    let rows = [
        ("a line that is not one", admin, line("Pumps/"), malformed("line")),
        ("a line that is not there", admin, line("none"), NO_LINE),
        ("a release manager, its line", &world.release_manager, line("pumps"), denied("RotateUpdateRoot")),
        ("nothing", admin, v1::RotateUpdateRootRequest::default(), malformed("repository")),
        ("no keys", admin, of("maker", None, "x"), malformed("keys")),
        ("no reason", admin, of("maker", custody(), ""), malformed("reason")),
        ("none", admin, of("x", custody(), "x"), NO_REPOSITORY),
        (
            "a release manager",
            &world.release_manager,
            of("maker", custody(), "x"),
            denied("RotateUpdateRoot"),
        ),
    ];
    world.refuses(Method::RotateUpdateRoot, rows).await;
}

#[tokio::test]
async fn create_product_line() {
    let world = world().await;
    let admin = &world.admin;
    let good = || line("monitors");
    let with = |paths: &[&str]| v1::CreateProductLineRequest {
        paths: paths.iter().map(ToString::to_string).collect(),
        ..good()
    };
    let managed = |managers: &[&str]| v1::CreateProductLineRequest {
        managers: managers.iter().map(ToString::to_string).collect(),
        ..good()
    };
    let exists = (Code::AlreadyExists, "line-exists", "other keys or paths");
    let rows = [
        ("nothing", admin, v1::CreateProductLineRequest::default(), malformed("paths")),
        (
            "no repository",
            admin,
            v1::CreateProductLineRequest { repository: "x".into(), ..good() },
            NO_REPOSITORY,
        ),
        ("TUF's own name", admin, line("targets"), malformed("name")),
        ("a path as a name", admin, line("../x"), malformed("name")),
        ("no paths", admin, with(&[]), malformed("paths")),
        ("too many", admin, with(&["a"; 17]), malformed("paths")),
        ("one that climbs", admin, with(&["../*"]), malformed("paths")),
        ("one from the root", admin, with(&["/*"]), malformed("paths")),
        ("no keys", admin, v1::CreateProductLineRequest { keys: None, ..good() }, malformed("keys")),
        ("no name of an operator", admin, managed(&["a b"]), malformed("managers")),
        ("too many managers", admin, managed(&["a"; 17]), malformed("managers")),
        (
            "other paths",
            admin,
            v1::CreateProductLineRequest { name: "pumps".into(), ..with(&["x/*"]) },
            exists,
        ),
        ("a release manager", &world.release_manager, good(), denied("CreateProductLine")),
    ];
    world.refuses(Method::CreateProductLine, rows).await;
}

#[tokio::test]
async fn list_product_lines() {
    let world = world().await;
    let of = |repository: &str| v1::ListProductLinesRequest { repository: repository.into() };
    let rows = [
        ("no name", &world.admin, of("../x"), malformed("repository")),
        ("a platform", &world.platform, of(""), denied("ListProductLines")),
    ];
    world.refuses(Method::ListProductLines, rows).await;
    let seen = world.release_manager.updates().list_product_lines(of("")).await.unwrap().into_inner();
    assert_eq!(seen.lines, [], "of none that names it");
}

#[tokio::test]
async fn add_release() {
    let world = world().await;
    let admin = &world.admin;
    added(&world).await;
    let add = |release| v1::AddReleaseRequest { release: Some(release), ..Default::default() };
    let sealed = |length, digest: usize, key: usize| v1::AddReleaseRequest {
        release: Some(v1::Release {
            plaintext: Some(v1::ReleasePlaintext { length, sha256: vec![2; digest] }),
            ..release(6)
        }),
        artifact_key: vec![3; key],
    };
    let good = || release(6);
    let attribute = |name: &str, value: &str| v1::Release {
        attributes: vec![v1::ReleaseAttribute { name: name.into(), value: value.into() }],
        ..good()
    };
    let pcr = |bank, number, length| v1::Release {
        pcrs: vec![v1::ReleasePcr { bank, number, value: vec![1; length] }],
        ..good()
    };
    let not_newer = (Code::AlreadyExists, "release-not-newer", "not above");
    let not_of_line = (Code::InvalidArgument, "path-not-of-line", "line pumps");
    let of = |name: &str, line: &str| v1::Release { repository: name.into(), line: line.into(), ..good() };
    let at = |path: &str| v1::Release { path: path.into(), ..good() };
    let rows = [
        ("nothing", admin, v1::AddReleaseRequest::default(), malformed("release")),
        ("no repository", admin, add(of("", "pumps")), malformed("repository")),
        ("no line", admin, add(of("maker", "")), malformed("line")),
        ("another repository", admin, add(of("x", "pumps")), NO_REPOSITORY),
        ("another line", admin, add(of("maker", "x")), NO_LINE),
        (
            "no version",
            admin,
            add(v1::Release { path: "pumps/x".into(), ..release(0) }),
            malformed("version"),
        ),
        (
            "a version of 54 bits",
            admin,
            add(v1::Release { path: "pumps/x".into(), ..release(1 << 53) }),
            malformed("version"),
        ),
        ("an older version", admin, add(release(4)), not_newer),
        ("no label", admin, add(v1::Release { label: String::new(), ..good() }), malformed("label")),
        ("no models", admin, add(v1::Release { models: vec![], ..good() }), malformed("models")),
        ("one twice", admin, add(v1::Release { models: vec!["a".into(); 2], ..good() }), malformed("models")),
        (
            "65 models",
            admin,
            add(v1::Release { models: (0..65).map(|n| n.to_string()).collect(), ..good() }),
            malformed("models"),
        ),
        (
            "not of ASCII",
            admin,
            add(v1::Release { models: vec!["\u{e4}".into()], ..good() }),
            malformed("models"),
        ),
        ("no path", admin, add(at("")), malformed("path")),
        ("one that climbs", admin, add(at("pumps/../x")), malformed("path")),
        ("another line's", admin, add(at("monitors/x")), not_of_line),
        ("another release's", admin, add(at("pumps/5.img")), not_of_line),
        ("no length", admin, add(v1::Release { length: 0, ..good() }), malformed("length")),
        ("31 bytes", admin, add(v1::Release { sha256: vec![1; 31], ..good() }), malformed("sha256")),
        ("a floor above it", admin, add(v1::Release { floor: 7, ..good() }), malformed("floor")),
        ("257 bytes", admin, add(v1::Release { notes: "x".repeat(257), ..good() }), malformed("notes")),
        ("no name", admin, add(attribute("", "x")), malformed("attributes")),
        ("no value", admin, add(attribute("x", "")), malformed("attributes")),
        ("no bank", admin, add(pcr(0, 1, 32)), malformed("pcrs")),
        ("PCR 24", admin, add(pcr(1, 24, 32)), malformed("pcrs")),
        ("PCR 256", admin, add(pcr(1, 256, 32)), malformed("pcrs")),
        ("a short value", admin, add(pcr(1, 1, 31)), malformed("pcrs")),
        (
            "a key of nothing",
            admin,
            v1::AddReleaseRequest { artifact_key: vec![3; 16], ..add(good()) },
            malformed("release.plaintext"),
        ),
        ("no key", admin, sealed(4, 32, 0), malformed("artifact_key")),
        ("a key of 15 bytes", admin, sealed(4, 32, 15), malformed("artifact_key")),
        ("a key of 17 bytes", admin, sealed(4, 32, 17), malformed("artifact_key")),
        ("a digest of 31 bytes", admin, sealed(4, 31, 16), malformed("release.plaintext.sha256")),
        ("an empty file", admin, sealed(0, 32, 16), malformed("release.plaintext.length")),
        ("a file of 2^53 bytes", admin, sealed(1 << 53, 32, 16), malformed("release.plaintext.length")),
        ("a line of others", &world.release_manager, add(good()), NO_LINE),
        ("a tenant's administrator", &world.tenant_admin, add(good()), denied("AddRelease")),
    ];
    world.refuses(Method::AddRelease, rows).await;
}

#[tokio::test]
async fn list_releases() {
    let world = world().await;
    let of = |name: &str, line: &str| v1::ListReleasesRequest { repository: name.into(), line: line.into() };
    let rows = [
        ("nothing", &world.admin, v1::ListReleasesRequest::default(), malformed("repository")),
        ("no line", &world.admin, of("maker", ""), malformed("line")),
        ("another repository", &world.admin, of("x", "pumps"), NO_REPOSITORY),
        ("another line", &world.admin, of("maker", "x"), NO_LINE),
        ("a line of others", &world.release_manager, of("maker", "pumps"), NO_LINE),
        ("an auditor of a tenant", &world.auditor, of("maker", "pumps"), NO_LINE),
        ("a station", &world.station, of("maker", "pumps"), denied("ListReleases")),
    ];
    world.refuses(Method::ListReleases, rows).await;
}

#[tokio::test]
async fn set_release_state() {
    let world = world().await;
    let admin = &world.admin;
    added(&world).await;
    let good = || v1::SetReleaseStateRequest {
        repository: "maker".into(),
        line: "pumps".into(),
        version: 5,
        deed: v1::ReleaseDeed::Release.into(),
        reason: "x".into(),
    };
    let unknown = (Code::NotFound, "release-unknown", "no release");
    let state = (Code::FailedPrecondition, "release-state", "proposed");
    let rows = [
        ("nothing", admin, v1::SetReleaseStateRequest::default(), malformed("repository")),
        ("no line", admin, v1::SetReleaseStateRequest { line: String::new(), ..good() }, malformed("line")),
        ("no deed", admin, v1::SetReleaseStateRequest { deed: 0, ..good() }, malformed("deed")),
        ("an unheard one", admin, v1::SetReleaseStateRequest { deed: 9, ..good() }, malformed("deed")),
        (
            "no reason",
            admin,
            v1::SetReleaseStateRequest { reason: String::new(), ..good() },
            malformed("reason"),
        ),
        (
            "another repository",
            admin,
            v1::SetReleaseStateRequest { repository: "x".into(), ..good() },
            NO_REPOSITORY,
        ),
        ("another line", admin, v1::SetReleaseStateRequest { line: "x".into(), ..good() }, NO_LINE),
        ("another release", admin, v1::SetReleaseStateRequest { version: 4, ..good() }, unknown),
        (
            "not from there",
            admin,
            v1::SetReleaseStateRequest { deed: v1::ReleaseDeed::Pause.into(), ..good() },
            state,
        ),
        ("a line of others", &world.release_manager, good(), NO_LINE),
        ("an auditor", &world.auditor, good(), denied("SetReleaseState")),
    ];
    world.refuses(Method::SetReleaseState, rows).await;
}

#[tokio::test]
async fn set_release_rollout() {
    use v1::rollout::{Profiles, Tenants};
    let world = world().await;
    let admin = &world.admin;
    added(&world).await;
    let everyone = || v1::Rollout {
        percent: 5,
        tenants: Some(Tenants::EveryTenant(v1::EveryTenant {})),
        profiles: Some(Profiles::EveryProfile(v1::EveryProfile {})),
    };
    let good = || v1::SetReleaseRolloutRequest {
        repository: "maker".into(),
        line: "pumps".into(),
        version: 5,
        rollout: Some(everyone()),
        reason: "x".into(),
    };
    let with = |rollout| v1::SetReleaseRolloutRequest { rollout: Some(rollout), ..good() };
    let tenants = |names: &[&str]| {
        let tenants = names.iter().map(|name| (*name).to_owned()).collect();
        with(v1::Rollout { tenants: Some(Tenants::SomeTenants(v1::SomeTenants { tenants })), ..everyone() })
    };
    let profiles = |names: &[&str]| {
        let profiles = names.iter().map(|name| (*name).to_owned()).collect();
        with(v1::Rollout {
            profiles: Some(Profiles::SomeProfiles(v1::SomeProfiles { profiles })),
            ..everyone()
        })
    };
    let unknown = (Code::NotFound, "release-unknown", "no release");
    let none = v1::SetReleaseRolloutRequest { rollout: None, ..good() };
    let silent = v1::SetReleaseRolloutRequest { reason: String::new(), ..good() };
    let rows = [
        ("nothing", admin, v1::SetReleaseRolloutRequest::default(), malformed("repository")),
        ("no rollout", admin, none, malformed("rollout")),
        ("no reason", admin, silent, malformed("reason")),
        ("more than all", admin, with(v1::Rollout { percent: 101, ..everyone() }), malformed("percent")),
        (
            "far more",
            admin,
            with(v1::Rollout { percent: 1 << 31, ..everyone() }),
            malformed("rollout.percent"),
        ),
        (
            "unsaid tenants",
            admin,
            with(v1::Rollout { tenants: None, ..everyone() }),
            malformed("rollout.tenants"),
        ),
        ("no tenants", admin, tenants(&[]), malformed("rollout.tenants")),
        ("a tenant's bad name", admin, tenants(&["A B"]), malformed("rollout.tenants")),
        ("65 tenants", admin, tenants(&["t"; 65]), malformed("rollout.tenants")),
        (
            "unsaid profiles",
            admin,
            with(v1::Rollout { profiles: None, ..everyone() }),
            malformed("rollout.profiles"),
        ),
        ("no profiles", admin, profiles(&[]), malformed("rollout.profiles")),
        ("a profile's bad name", admin, profiles(&["A B"]), malformed("rollout.profiles")),
        (
            "another repository",
            admin,
            v1::SetReleaseRolloutRequest { repository: "x".into(), ..good() },
            NO_REPOSITORY,
        ),
        ("another line", admin, v1::SetReleaseRolloutRequest { line: "x".into(), ..good() }, NO_LINE),
        ("another release", admin, v1::SetReleaseRolloutRequest { version: 4, ..good() }, unknown),
        ("a line of others", &world.release_manager, good(), NO_LINE),
        ("an auditor", &world.auditor, good(), denied("SetReleaseRollout")),
        ("a site", &world.site, good(), denied("SetReleaseRollout")),
    ];
    world.refuses(Method::SetReleaseRollout, rows).await;
}

#[tokio::test]
async fn get_update_draft() {
    let world = world().await;
    let of =
        |name: &str, role: &str| v1::GetUpdateDraftRequest { repository: name.into(), role: role.into() };
    let no_draft = (Code::NotFound, "draft-unknown", "nothing waits");
    let rows = [
        ("nothing", &world.admin, v1::GetUpdateDraftRequest::default(), malformed("repository")),
        ("no role", &world.admin, of("maker", ""), malformed("role")),
        ("another repository", &world.admin, of("x", "root"), NO_REPOSITORY),
        ("another line", &world.admin, of("maker", "x"), NO_LINE),
        ("none", &world.admin, of("maker", "root"), no_draft),
        ("of a line, none", &world.admin, of("maker", "pumps"), no_draft),
        ("root, of a release manager", &world.release_manager, of("maker", "root"), NO_REPOSITORY),
        ("a line of others", &world.release_manager, of("maker", "pumps"), NO_LINE),
        ("a platform", &world.platform, of("maker", "root"), denied("GetUpdateDraft")),
    ];
    world.refuses(Method::GetUpdateDraft, rows).await;
}

#[tokio::test]
async fn sign_update_draft() {
    let world = World::new().await;
    let admin = &world.admin;
    let keys = offline(&[&pem()], 1);
    let create = v1::CreateUpdateRepositoryRequest { name: "maker".into(), keys };
    world.admin.updates().create_update_repository(create).await.unwrap();
    let good = || v1::SignUpdateDraftRequest {
        repository: "maker".into(),
        role: "root".into(),
        key_id: "0".repeat(64),
        signature: vec![1; 70],
    };
    let refused = (Code::InvalidArgument, "signature-refused", "has not signed");
    let rows = [
        ("nothing", admin, v1::SignUpdateDraftRequest::default(), malformed("repository")),
        ("no role", admin, v1::SignUpdateDraftRequest { role: String::new(), ..good() }, malformed("role")),
        ("no key", admin, v1::SignUpdateDraftRequest { key_id: "0".into(), ..good() }, malformed("key_id")),
        (
            "no signature",
            admin,
            v1::SignUpdateDraftRequest { signature: vec![], ..good() },
            malformed("signature"),
        ),
        (
            "73 bytes",
            admin,
            v1::SignUpdateDraftRequest { signature: vec![1; 73], ..good() },
            malformed("signature"),
        ),
        (
            "another repository",
            admin,
            v1::SignUpdateDraftRequest { repository: "x".into(), ..good() },
            NO_REPOSITORY,
        ),
        ("a stranger's", admin, good(), refused),
        ("a release manager, of root", &world.release_manager, good(), NO_REPOSITORY),
        ("an auditor", &world.auditor, good(), denied("SignUpdateDraft")),
    ];
    world.refuses(Method::SignUpdateDraft, rows).await;
}

#[tokio::test]
async fn get_update_metadata() {
    let world = world().await;
    let of =
        |name: &str, file: &str| v1::GetUpdateMetadataRequest { repository: name.into(), file: file.into() };
    let rows = [
        ("nothing", &world.admin, v1::GetUpdateMetadataRequest::default(), malformed("repository")),
        ("another repository", &world.admin, of("x", ""), NO_REPOSITORY),
        ("another file", &world.admin, of("maker", "9.root.json"), malformed("file")),
        ("a path", &world.admin, of("maker", "../maker"), malformed("file")),
        ("a long name", &world.admin, of("maker", &"x".repeat(65)), malformed("file")),
        ("a platform", &world.platform, of("maker", ""), denied("GetUpdateMetadata")),
    ];
    world.refuses(Method::GetUpdateMetadata, rows).await;
}
