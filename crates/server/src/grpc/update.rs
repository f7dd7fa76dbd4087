//! `UpdateService`.

use crate::edge::context::Context;
use crate::grpc::convert::{bytes32, parse, parse_optional, wrong};
use crate::grpc::words::{Answered, Asked};
use crate::grpc::{Api, reply};
use std::str::FromStr;
use tonic::{Request, Response, Status, async_trait};
use wardein_crypto::{Digest, P256_SIGNATURE_MAX, P256VerifyingKey, Secret, SecretBytes};
use wardein_domain::{AttributeName, Bank, LineName, NameError, ReleaseText, RepositoryName};
use wardein_engine::{
    ArtifactKey, Error, LineOrder, ProductLine, Release, ReleaseDeed, ReleaseOrder, ReleasePcr, Rollout,
    UpdateFile, UpdateKeys, UpdateRepository, UpdateRole,
};
use wardein_proto::{time, v1};
use wardein_tuf::{Key, KeyId, PathPattern, Plaintext, Signature};

#[async_trait]
impl v1::update_service_server::UpdateService for Api {
    async fn create_update_repository(
        &self,
        request: Request<v1::CreateUpdateRepositoryRequest>,
    ) -> Result<Response<v1::CreateUpdateRepositoryResponse>, Status> {
        let create = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let (name, keys) = (parse("name", &asked.name)?, keys(asked.keys.as_ref())?);
            let made = self.shared.engine.create_update_repository(context.caller()?, name, keys).await?;
            Ok(v1::CreateUpdateRepositoryResponse { repository: Some(repository(made)) })
        };
        reply(create.await)
    }

    async fn list_update_repositories(
        &self,
        request: Request<v1::ListUpdateRepositoriesRequest>,
    ) -> Result<Response<v1::ListUpdateRepositoriesResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let found = self.shared.engine.list_update_repositories(context.caller()?).await?;
            let repositories = found.into_iter().map(repository).collect();
            Ok(v1::ListUpdateRepositoriesResponse { repositories })
        };
        reply(list.await)
    }

    async fn rotate_update_root(
        &self,
        request: Request<v1::RotateUpdateRootRequest>,
    ) -> Result<Response<v1::RotateUpdateRootResponse>, Status> {
        let rotate = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let (name, keys) = (parse("repository", &asked.repository)?, keys(asked.keys.as_ref())?);
            let reason = parse("reason", &asked.reason)?;
            let (engine, caller) = (&self.shared.engine, context.caller()?);
            let drafted = match asked.line.as_str() {
                "" => engine.rotate_update_root(caller, name, keys, reason).await?,
                line => engine.rotate_line_keys(caller, name, parse("line", line)?, keys, reason).await?,
            };
            Ok(v1::RotateUpdateRootResponse { repository: Some(repository(drafted)) })
        };
        reply(rotate.await)
    }

    async fn create_product_line(
        &self,
        request: Request<v1::CreateProductLineRequest>,
    ) -> Result<Response<v1::CreateProductLineResponse>, Status> {
        let create = async {
            let context = Context::of(&request)?;
            let order = line_order(request.get_ref())?;
            let made = self.shared.engine.create_product_line(context.caller()?, order).await?;
            Ok(v1::CreateProductLineResponse { line: Some(line(made)) })
        };
        reply(create.await)
    }

    async fn list_product_lines(
        &self,
        request: Request<v1::ListProductLinesRequest>,
    ) -> Result<Response<v1::ListProductLinesResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let of = parse_optional("repository", &request.get_ref().repository)?;
            let lines = self.shared.engine.list_product_lines(context.caller()?, of.as_ref()).await?;
            Ok(v1::ListProductLinesResponse { lines: lines.into_iter().map(line).collect() })
        };
        reply(list.await)
    }

    async fn add_release(
        &self,
        request: Request<v1::AddReleaseRequest>,
    ) -> Result<Response<v1::AddReleaseResponse>, Status> {
        let add = async {
            let context = Context::of(&request)?;
            let v1::AddReleaseRequest { release: asked, artifact_key: key } = request.into_inner();
            let key = SecretBytes::from_vec(key);
            let asked = asked.ok_or_else(|| wrong("release", "is missing"))?;
            let (caller, order) = (context.caller()?, release_order(&asked)?);
            let engine = &self.shared.engine;
            let added = match artifact_key(asked.plaintext.as_ref(), &key)? {
                Some(key) => engine.add_sealed_release(caller, order, key).await?,
                None => engine.add_release(caller, order).await?,
            };
            Ok(v1::AddReleaseResponse { release: Some(release(added)) })
        };
        reply(add.await)
    }

    async fn list_releases(
        &self,
        request: Request<v1::ListReleasesRequest>,
    ) -> Result<Response<v1::ListReleasesResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let (name, line) = place(&asked.repository, &asked.line)?;
            let caller = context.caller()?;
            let releases = self.shared.engine.list_releases(caller, &name, &line).await?.into_iter();
            let releases = match caller.principal.tenant {
                Some(_) => releases.map(release_for_site).collect(),
                None => releases.map(release).collect(),
            };
            Ok(v1::ListReleasesResponse { releases })
        };
        reply(list.await)
    }

    async fn set_release_state(
        &self,
        request: Request<v1::SetReleaseStateRequest>,
    ) -> Result<Response<v1::SetReleaseStateResponse>, Status> {
        let set = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let (name, line) = place(&asked.repository, &asked.line)?;
            let deed = ReleaseDeed::asked("deed", asked.deed)?;
            let (reason, which) = (parse("reason", &asked.reason)?, (&name, &line, asked.version));
            let set = self.shared.engine.set_release_state(context.caller()?, which, deed, reason).await?;
            Ok(v1::SetReleaseStateResponse { release: Some(release(set)) })
        };
        reply(set.await)
    }

    async fn set_release_rollout(
        &self,
        request: Request<v1::SetReleaseRolloutRequest>,
    ) -> Result<Response<v1::SetReleaseRolloutResponse>, Status> {
        let set = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let (name, line) = place(&asked.repository, &asked.line)?;
            let rollout = rollout(asked.rollout.as_ref())?;
            let (reason, which) = (parse("reason", &asked.reason)?, (&name, &line, asked.version));
            let engine = &self.shared.engine;
            let set = engine.set_release_rollout(context.caller()?, which, rollout, reason).await?;
            Ok(v1::SetReleaseRolloutResponse { release: Some(release(set)) })
        };
        reply(set.await)
    }

    async fn get_update_draft(
        &self,
        request: Request<v1::GetUpdateDraftRequest>,
    ) -> Result<Response<v1::GetUpdateDraftResponse>, Status> {
        let get = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let (name, role) = (parse("repository", &asked.repository)?, role(&asked.role)?);
            let (waiting, draft) = self.shared.engine.update_draft(context.caller()?, &name, &role).await?;
            Ok(v1::GetUpdateDraftResponse { file: Some(file(waiting)), draft })
        };
        reply(get.await)
    }

    async fn sign_update_draft(
        &self,
        request: Request<v1::SignUpdateDraftRequest>,
    ) -> Result<Response<v1::SignUpdateDraftResponse>, Status> {
        let sign = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let (name, role) = (parse("repository", &asked.repository)?, role(&asked.role)?);
            let key =
                KeyId::parse(&asked.key_id).map_err(|_| wrong("key_id", "is not 64 hexadecimal digits"))?;
            if !(1..=P256_SIGNATURE_MAX).contains(&asked.signature.len()) {
                let why =
                    format_args!("has {} bytes; it takes 1 to {P256_SIGNATURE_MAX}", asked.signature.len());
                return Err(wrong("signature", why).into());
            }
            let signature = Signature { key, bytes: asked.signature.clone() };
            let engine = &self.shared.engine;
            let signed = engine.sign_update_draft(context.caller()?, &name, &role, &signature).await?;
            Ok(v1::SignUpdateDraftResponse { file: Some(file(signed)) })
        };
        reply(sign.await)
    }

    async fn get_update_metadata(
        &self,
        request: Request<v1::GetUpdateMetadataRequest>,
    ) -> Result<Response<v1::GetUpdateMetadataResponse>, Status> {
        let get = async {
            Context::of(&request)?.caller()?;
            let asked = request.get_ref();
            let name: RepositoryName = parse("repository", &asked.repository)?;
            let engine = &self.shared.engine;
            if asked.file.is_empty() {
                let names = engine.list_update_metadata(&name).await?;
                return Ok(v1::GetUpdateMetadataResponse { names, content: Vec::new() });
            }
            if asked.file.len() > MAX_FILE_NAME {
                return Err(wrong("file", format_args!("is longer than {MAX_FILE_NAME} bytes")).into());
            }
            let found = engine.update_metadata(&name, &asked.file).await?;
            let content = found.ok_or_else(|| wrong("file", "is none that is served"))?.0;
            Ok(v1::GetUpdateMetadataResponse { names: Vec::new(), content })
        };
        reply(get.await)
    }
}

fn keys(asked: Option<&v1::UpdateKeys>) -> Result<UpdateKeys, Error> {
    let asked = asked.ok_or_else(|| wrong("keys", "is missing"))?;
    if asked.offline_pem.is_empty() {
        let is_alone = asked.threshold == 0;
        return if is_alone {
            Ok(UpdateKeys::InCustody)
        } else {
            Err(wrong("threshold", "is for offline keys"))
        };
    }
    let read = |pem: &String| -> Result<P256VerifyingKey, Error> {
        let key = Some(pem).filter(|pem| pem.len() <= MAX_PEM).and_then(|pem| Key::from_pem(pem));
        let key = key.as_ref().and_then(Key::verifying).copied();
        key.ok_or_else(|| wrong("keys", "has what is no public key on P-256 in PEM"))
    };
    UpdateKeys::offline(asked.offline_pem.iter().map(read).collect::<Result<_, _>>()?, asked.threshold)
}

pub(super) fn place(repository: &str, line: &str) -> Result<(RepositoryName, LineName), Error> {
    Ok((parse("repository", repository)?, parse("line", line)?))
}

fn role(text: &str) -> Result<UpdateRole, Error> {
    match text {
        "root" => Ok(UpdateRole::Root),
        "targets" => Ok(UpdateRole::Targets),
        line => parse("role", line).map(UpdateRole::Line),
    }
}

fn line_order(asked: &v1::CreateProductLineRequest) -> Result<LineOrder, Error> {
    let count = |field: &str, count: usize, least: usize, most: usize| {
        let why = format_args!("has {count}; it takes {least} to {most}");
        if (least..=most).contains(&count) { Ok(()) } else { Err(wrong(field, why)) }
    };
    count("paths", asked.paths.len(), 1, LineOrder::MAX_PATHS)?;
    count("managers", asked.managers.len(), 0, LineOrder::MAX_MANAGERS)?;
    let paths = asked.paths.iter().map(|path| PathPattern::new(path));
    let managers = asked.managers.iter().map(|name| parse("managers", name));
    Ok(LineOrder {
        repository: parse("repository", &asked.repository)?,
        name: parse("name", &asked.name)?,
        paths: paths.collect::<Result<_, _>>().map_err(|error| wrong("paths", error))?,
        keys: keys(asked.keys.as_ref())?,
        managers: managers.collect::<Result<_, _>>()?,
    })
}

fn release_order(asked: &v1::Release) -> Result<ReleaseOrder, Error> {
    let (repository, line) = place(&asked.repository, &asked.line)?;
    let mut attributes: Vec<(AttributeName, ReleaseText)> = Vec::new();
    for v1::ReleaseAttribute { name, value } in &asked.attributes {
        attributes.push((parse("attributes", name)?, parse("attributes", value)?));
    }
    // Their order says nothing.
    attributes.sort();
    let pcr = |pcr: &v1::ReleasePcr| {
        let number = u8::try_from(pcr.number).map_err(|_| wrong("pcrs", "has a number of no PCR"))?;
        Ok(ReleasePcr { bank: Bank::asked("pcrs", pcr.bank)?, number, value: pcr.value.clone() })
    };
    Ok(ReleaseOrder {
        repository,
        line,
        version: asked.version,
        label: parse("label", &asked.label)?,
        models: asked.models.iter().map(|model| parse("models", model)).collect::<Result<_, _>>()?,
        path: asked.path.clone(),
        length: asked.length,
        sha256: Digest(bytes32("sha256", &asked.sha256)?),
        floor: asked.floor,
        notes: parse_optional("notes", &asked.notes)?,
        attributes,
        pcrs: asked.pcrs.iter().map(pcr).collect::<Result<_, Error>>()?,
        downgrade_from: (asked.downgrade_from != 0).then_some(asked.downgrade_from),
    })
}

/// What opens a sealed artifact; `None` of one that is not. Neither half is taken without the other: what is in a file would be
/// signed that nobody can open, or a file opened that nothing is signed of.
fn artifact_key(
    plaintext: Option<&v1::ReleasePlaintext>,
    key: &SecretBytes,
) -> Result<Option<ArtifactKey>, Error> {
    let (plaintext, key) = match (plaintext, key.expose()) {
        (None, []) => return Ok(None),
        (None, _) => return Err(wrong("release.plaintext", "is missing, and comes with the artifact's key")),
        (Some(_), []) => return Err(wrong("artifact_key", "is missing, and comes with `release.plaintext`")),
        (Some(plaintext), key) => (plaintext, key),
    };
    let bytes: &[u8; 16] = key
        .try_into()
        .map_err(|_| wrong("artifact_key", format_args!("has {} bytes; it takes 16", key.len())))?;
    let sha256 = Digest(bytes32("release.plaintext.sha256", &plaintext.sha256)?);
    let plaintext = Plaintext { length: plaintext.length, sha256 };
    Ok(Some(ArtifactKey { plaintext, key: Secret::copied_from(bytes) }))
}

/// Neither which tenants nor which profiles are meant follows from leaving it out.
fn rollout(asked: Option<&v1::Rollout>) -> Result<Rollout, Error> {
    use v1::rollout::{Profiles, Tenants};
    let asked = asked.ok_or_else(|| wrong("rollout", "is missing"))?;
    let percent = u8::try_from(asked.percent).map_err(|_| wrong("rollout.percent", "is above 100"))?;
    let tenants = match &asked.tenants {
        Some(Tenants::EveryTenant(_)) => Vec::new(),
        Some(Tenants::SomeTenants(some)) => names("rollout.tenants", &some.tenants)?,
        None => return Err(wrong("rollout.tenants", "is missing: every_tenant or some_tenants")),
    };
    let profiles = match &asked.profiles {
        Some(Profiles::EveryProfile(_)) => Vec::new(),
        Some(Profiles::SomeProfiles(some)) => names("rollout.profiles", &some.profiles)?,
        None => return Err(wrong("rollout.profiles", "is missing: every_profile or some_profiles")),
    };
    Ok(Rollout { percent, tenants, profiles })
}

/// 1 to [`Rollout::MAX_NAMES`] names, each once.
fn names<T: FromStr<Err = NameError> + Ord>(field: &'static str, asked: &[String]) -> Result<Vec<T>, Error> {
    if !(1..=Rollout::MAX_NAMES).contains(&asked.len()) {
        let why = format_args!("has {}; it takes 1 to {}", asked.len(), Rollout::MAX_NAMES);
        return Err(wrong(field, why));
    }
    let mut names = asked.iter().map(|name| parse(field, name)).collect::<Result<Vec<T>, _>>()?;
    names.sort();
    names.dedup();
    Ok(names)
}

fn repository(from: UpdateRepository) -> v1::UpdateRepository {
    v1::UpdateRepository {
        name: from.name.to_string(),
        made_at: time::at(from.made_at),
        made_by: from.by.name,
        files: from.files.into_iter().map(file).collect(),
        lines: from.lines.iter().map(ToString::to_string).collect(),
    }
}

fn line(from: ProductLine) -> v1::ProductLine {
    v1::ProductLine {
        repository: from.repository.to_string(),
        name: from.name.to_string(),
        paths: from.paths,
        managers: from.managers.iter().map(ToString::to_string).collect(),
        file: Some(file(from.file)),
    }
}

fn file(from: UpdateFile) -> v1::UpdateFile {
    let key =
        |key: wardein_engine::UpdateKey| v1::UpdateKey { id: key.id.to_string(), in_custody: key.in_custody };
    let (draft_version, missing_signatures) =
        from.draft.map_or((0, 0), |draft| (draft.version, draft.missing));
    v1::UpdateFile {
        name: from.name,
        keys: from.keys.into_iter().map(key).collect(),
        threshold: from.threshold,
        version: from.version,
        expires: (from.expires > 0).then_some(from.expires).and_then(time::at),
        draft_version,
        missing_signatures,
    }
}

/// As a tenant sees it: who works at the maker's, and who else gets or runs it, is not a site's affair.
pub(super) fn release_for_site(from: Release) -> v1::Release {
    v1::Release { added_by: String::new(), rollout: None, receipts: None, ..release(from) }
}

pub(super) fn release(from: Release) -> v1::Release {
    let Release { order, rollout, state, since, by, receipts, plaintext } = from;
    let pcr = |pcr: ReleasePcr| v1::ReleasePcr {
        bank: pcr.bank.wire(),
        number: pcr.number.into(),
        value: pcr.value,
    };
    let attribute = |(name, value): &(AttributeName, ReleaseText)| v1::ReleaseAttribute {
        name: name.to_string(),
        value: value.to_string(),
    };
    v1::Release {
        repository: order.repository.to_string(),
        line: order.line.to_string(),
        version: order.version,
        label: order.label.as_str().to_owned(),
        models: order.models.iter().map(ToString::to_string).collect(),
        path: order.path,
        length: order.length,
        sha256: order.sha256.0.to_vec(),
        floor: order.floor,
        notes: order.notes.map(|notes| notes.to_string()).unwrap_or_default(),
        attributes: order.attributes.iter().map(attribute).collect(),
        pcrs: order.pcrs.into_iter().map(pcr).collect(),
        state: state.wire(),
        since: time::at(since),
        added_by: by.name,
        downgrade_from: order.downgrade_from.unwrap_or_default(),
        rollout: Some(rollout_of(rollout)),
        receipts: Some(v1::ReleaseReceipts {
            running: receipts.running,
            differing: receipts.differing,
            rolled_back: receipts.rolled_back,
        }),
        plaintext: plaintext
            .map(|file| v1::ReleasePlaintext { length: file.length, sha256: file.sha256.0.to_vec() }),
    }
}

fn rollout_of(from: Rollout) -> v1::Rollout {
    use v1::rollout::{Profiles, Tenants};
    let tenants: Vec<_> = from.tenants.iter().map(ToString::to_string).collect();
    let profiles: Vec<_> = from.profiles.iter().map(ToString::to_string).collect();
    v1::Rollout {
        percent: from.percent.into(),
        tenants: Some(match tenants.is_empty() {
            true => Tenants::EveryTenant(v1::EveryTenant {}),
            false => Tenants::SomeTenants(v1::SomeTenants { tenants }),
        }),
        profiles: Some(match profiles.is_empty() {
            true => Profiles::EveryProfile(v1::EveryProfile {}),
            false => Profiles::SomeProfiles(v1::SomeProfiles { profiles }),
        }),
    }
}

/// The longest PEM of a public key, in bytes.
const MAX_PEM: usize = 1024;
/// The longest name of a file: version and line.
const MAX_FILE_NAME: usize = 64;
