//! `proto/REFERENCE.md`: every service, method, message and field with its comment, and who may call what.

use crate::{files, is, proto};
use protox::prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor,
    MethodDescriptor, ServiceDescriptor,
};
use std::fmt::Write;
use wardein_domain::{Access, Method};

#[test]
fn the_reference_is_current() {
    let descriptors = protox::compile(files(), [proto()]).unwrap();
    let pool = DescriptorPool::from_file_descriptor_set(descriptors).unwrap();
    let ours: Vec<_> = pool.files().filter(|file| file.package_name() == PACKAGE).collect();
    let mut text = String::from(HEAD);
    let mut services: Vec<_> = ours.iter().flat_map(FileDescriptor::services).collect();
    services.sort_by_key(|service| service.name().to_owned());
    for service in &services {
        writeln!(text, "- {}", link(service.name())).unwrap();
    }
    for service in &services {
        write_service(&mut text, service);
    }
    text += "\n## Messages\n";
    let mut messages: Vec<_> = ours.iter().flat_map(FileDescriptor::messages).collect();
    messages.sort_by_key(|message| message.name().to_owned());
    for message in &messages {
        write_message(&mut text, message);
    }
    text += "\n## Enums\n";
    let mut enums: Vec<_> = ours.iter().flat_map(FileDescriptor::enums).collect();
    enums.sort_by_key(|of| of.name().to_owned());
    for of in &enums {
        write_enum(&mut text, of);
    }
    is(&proto().join("REFERENCE.md"), text.as_bytes());
}

fn write_service(text: &mut String, service: &ServiceDescriptor) {
    let comment = comment(&service.parent_file(), service.path());
    write!(text, "\n## {}\n\n{comment}\n", service.name()).unwrap();
    for method in service.methods() {
        write_method(text, service, &method);
    }
}

fn write_method(text: &mut String, service: &ServiceDescriptor, method: &MethodDescriptor) {
    let path = format!("/{}/{}", service.full_name(), method.name());
    let callers = match Method::from_path(&path).unwrap().access() {
        Access::Open => "anybody, without a certificate".to_owned(),
        Access::Roles(roles) => roles.iter().map(|role| format!("`{role}`")).collect::<Vec<_>>().join(", "),
    };
    let side = |is_stream: bool, message: MessageDescriptor| {
        format!("{}{}", if is_stream { "stream of " } else { "" }, link(message.name()))
    };
    let level = method.method_descriptor_proto().options.as_ref().map(|options| options.idempotency_level());
    let level = level.unwrap_or_default().as_str_name();
    let comment = comment(&service.parent_file(), method.path());
    write!(
        text,
        "\n### {}\n\n{comment}\n\n- takes {}, answers {}\n- callers: {callers}\n- `{level}`\n",
        method.name(),
        side(method.is_client_streaming(), method.input()),
        side(method.is_server_streaming(), method.output()),
    )
    .unwrap();
}

fn write_message(text: &mut String, message: &MessageDescriptor) {
    assert!(message.child_messages().next().is_none() && message.child_enums().next().is_none());
    let of = message.parent_file();
    write!(text, "\n### {}\n\n{}\n", message.name(), comment(&of, message.path())).unwrap();
    let mut fields: Vec<_> = message.fields().collect();
    if fields.is_empty() {
        return;
    }
    fields.sort_by_key(FieldDescriptor::number);
    text.push_str("\n| field | number | type | |\n| --- | --- | --- | --- |\n");
    for field in fields {
        let comment = cell(&comment(&of, field.path()));
        writeln!(text, "| `{}` | {} | {} | {comment} |", field.name(), field.number(), kind(&field)).unwrap();
    }
    for one in message.oneofs().filter(|one| !one.is_synthetic()) {
        write!(text, "\n`{}`: {}\n", one.name(), comment(&of, one.path())).unwrap();
    }
}

fn write_enum(text: &mut String, of: &EnumDescriptor) {
    let file = of.parent_file();
    write!(text, "\n### {}\n\n{}\n\n", of.name(), comment(&file, of.path())).unwrap();
    text.push_str("| value | number | |\n| --- | --- | --- |\n");
    for value in of.values() {
        let comment = cell(&comment(&file, value.path()));
        writeln!(text, "| `{}` | {} | {comment} |", value.name(), value.number()).unwrap();
    }
}

fn kind(field: &FieldDescriptor) -> String {
    let name = match field.kind() {
        Kind::Message(of) => named(of.full_name(), of.name()),
        Kind::Enum(of) => named(of.full_name(), of.name()),
        scalar => format!("{scalar:?}").to_lowercase(),
    };
    let within = field.containing_oneof();
    match (field.cardinality(), within) {
        (Cardinality::Repeated, _) => format!("repeated {name}"),
        (_, Some(one)) if !one.is_synthetic() => format!("{name}, one of `{}`", one.name()),
        (_, Some(_)) => format!("optional {name}"),
        _ => name,
    }
}

/// Ours are described here.
fn named(full: &str, short: &str) -> String {
    if full.strip_prefix(PACKAGE).is_some() { link(short) } else { format!("`{full}`") }
}

fn link(name: &str) -> String {
    format!("[{name}](#{})", name.to_lowercase())
}

/// The comment above a declaration, with its paragraphs. There is one above each: buf's COMMENTS asks for it.
pub(crate) fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref().unwrap();
    let location = info.location.iter().find(|location| location.path == path);
    let text = location.and_then(|location| location.leading_comments.clone()).unwrap_or_default();
    assert!(!text.trim().is_empty(), "{}: {path:?} has no comment", file.name());
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let paragraphs = lines.split(|line| line.is_empty()).map(|lines| lines.join(" "));
    paragraphs.filter(|paragraph| !paragraph.is_empty()).collect::<Vec<_>>().join("\n\n")
}

fn cell(comment: &str) -> String {
    comment.replace("\n\n", " ").replace('|', "\\|")
}

const PACKAGE: &str = "wardein.v1";

const HEAD: &str = "\
# Reference of `wardein.v1`

Generated from the comments in `wardein/v1/*.proto`, and from the table of who may call what (`crates/domain/src/access.rs`). How to
connect, what a refusal carries, and what may change: [README.md](README.md).

`WARDEIN_REGENERATE=1 cargo test -p wardein-proto` writes it again.

Services:

";
