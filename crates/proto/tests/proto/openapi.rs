//! `proto/openapi.json`: the methods that can be called with JSON, as OpenAPI 3.1 (ProtoJSON in the form of Connect's unary calls).

use crate::reference::comment;
use crate::{files, is, proto};
use protox::prost_reflect::{
    DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
};
use serde_json::{Map, Value, json};
use wardein_domain::Method;

#[test]
fn the_openapi_document_is_current() {
    let descriptors = protox::compile(files(), [proto()]).unwrap();
    let pool = DescriptorPool::from_file_descriptor_set(descriptors).unwrap();
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        if Method::from_path(&path).is_some_and(Method::takes_json) {
            paths.insert(path, operation(&method, &mut schemas));
        }
    }
    assert!(!paths.is_empty());
    schemas.insert("Refusal".into(), refusal());
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Wardein for platforms",
            "version": "v1",
            "description": "The methods of TrustService that can be called with JSON, in the form of Connect's unary calls. Generated from \
                the contract; README.md beside it says the rest."
        },
        "paths": paths,
        "security": [{ "operator": [] }, { "bearer": [] }],
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "operator": { "type": "mutualTLS", "description": "The certificate of an operator with the role `platform`." },
                "bearer": { "type": "http", "scheme": "bearer", "description": "A bearer token of such an operator, where no certificate is shown." }
            }
        }
    });
    let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
    is(&proto().join("openapi.json"), text.as_bytes());
}

fn operation(method: &MethodDescriptor, schemas: &mut Map<String, Value>) -> Value {
    let [input, output] = [method.input(), method.output()].map(|message| reference(&message, schemas));
    let described = comment(&method.parent_file(), method.path());
    let body = |schema: Value| json!({ "application/json": { "schema": schema } });
    json!({ "post": {
        "operationId": method.name(),
        "description": described,
        "requestBody": { "required": true, "content": body(input) },
        "responses": {
            "200": { "description": "The answer.", "content": body(output) },
            "default": {
                "description": "The refusal; the header `wardein-code` has its stable code.",
                "content": body(json!({ "$ref": "#/components/schemas/Refusal" }))
            }
        }
    }})
}

/// What the comment of a field of a request says of its values, for programs. Base64 has four characters for three
/// bytes, and may come without what fills it up (ProtoJSON): 8 bytes are 11 characters or 12.
fn bound(field: &str) -> Option<Value> {
    Some(match field {
        "wardein.v1.CheckRequest.device_id" => json!({ "pattern": "^[A-Za-z0-9._:-]{1,128}$" }),
        "wardein.v1.CheckRequest.certificate" => json!({ "minLength": 2, "maxLength": 10_924 }),
        "wardein.v1.CheckRequest.spiffe_id" => {
            json!({ "pattern": "^spiffe://[a-z0-9._-]{1,255}/[a-z0-9-]{1,63}/[A-Za-z0-9._:-]{1,128}$", "maxLength": 2_048 })
        }
        // All that is issued has these two bits (`Serial`).
        "wardein.v1.CheckRequest.serial" => json!({ "pattern": "^[4-7][0-9a-f]{31}$" }),
        "wardein.v1.CheckRequest.fingerprint" => {
            json!({ "pattern": "^([0-9A-Fa-f]{64}|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31})$" })
        }
        "wardein.v1.ReceiptRequest.audience" => {
            json!({ "pattern": "^[!#-\\[\\]-~]{1,256}$" })
        }
        "wardein.v1.ReceiptRequest.nonce" => json!({ "minLength": 11, "maxLength": 88 }),
        "wardein.v1.ListSubjectsRequest.profile" => json!({ "pattern": "^[a-z0-9-]{0,32}$" }),
        "wardein.v1.ListSubjectsRequest.model" => json!({ "maxLength": 64 }),
        "wardein.v1.VerifyTokenRequest.token" => json!({ "minLength": 2, "maxLength": 1_368 }),
        "wardein.v1.VerifyTokenRequest.platform_nonce" => json!({ "maxLength": 88 }),
        "wardein.v1.VerifyTokenRequest.idempotency_key" => json!({ "minLength": 22, "maxLength": 88 }),
        _ => return None,
    })
}

/// What a request is refused without.
const REQUIRED: [&str; 4] = [
    "wardein.v1.ReceiptRequest.audience",
    "wardein.v1.ReceiptRequest.nonce",
    "wardein.v1.VerifyTokenRequest.token",
    "wardein.v1.VerifyTokenRequest.idempotency_key",
];

/// A message by its name; its schema is added where it is new.
fn reference(message: &MessageDescriptor, schemas: &mut Map<String, Value>) -> Value {
    let name = message.name().to_owned();
    if !schemas.contains_key(&name) {
        schemas.insert(name.clone(), Value::Null);
        let schema = object(message, schemas);
        schemas.insert(name.clone(), schema);
    }
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn object(message: &MessageDescriptor, schemas: &mut Map<String, Value>) -> Value {
    let of = message.parent_file();
    let mut properties = Map::new();
    for field in message.fields() {
        let mut schema = value(&field, schemas);
        if field.is_list() {
            schema = json!({ "type": "array", "items": schema });
        }
        schema["description"] = comment(&of, field.path()).into();
        if let Some(bound) = bound(field.full_name()) {
            schema.as_object_mut().unwrap().append(bound.clone().as_object_mut().unwrap());
        }
        properties.insert(field.json_name().to_owned(), schema);
    }
    let mut schema = json!({
        "type": "object",
        "description": comment(&of, message.path()),
        "properties": properties
    });
    // An answer of a later version may have more.
    if message.name().ends_with("Request") {
        schema["additionalProperties"] = false.into();
    }
    let required: Vec<_> = message
        .fields()
        .filter(|field| REQUIRED.contains(&field.full_name()))
        .map(|field| field.json_name().to_owned())
        .collect();
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    // Every oneof of ours is one that must be set.
    for one in message.oneofs().filter(|one| !one.is_synthetic()) {
        let each = one.fields().map(|field| json!({ "required": [field.json_name()] }));
        schema["oneOf"] = each.collect();
    }
    schema
}

fn value(field: &FieldDescriptor, schemas: &mut Map<String, Value>) -> Value {
    match field.kind() {
        Kind::String => json!({ "type": "string" }),
        // The format says the same to programs that know OpenAPI 3.0 alone.
        Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64", "format": "byte" }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Uint32 => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        // JSON's numbers are doubles in many a language.
        Kind::Uint64 => json!({ "type": "string", "pattern": "^[0-9]+$" }),
        Kind::Enum(of) => words(&of, schemas),
        Kind::Message(of) => match of.full_name() {
            "google.protobuf.Timestamp" => json!({ "type": "string", "format": "date-time" }),
            "google.protobuf.Duration" => json!({ "type": "string", "pattern": "^[0-9]+s$" }),
            _ => reference(&of, schemas),
        },
        other => panic!("{}: {other:?} has no schema yet", field.full_name()),
    }
}

fn words(of: &EnumDescriptor, schemas: &mut Map<String, Value>) -> Value {
    let file = of.parent_file();
    let names: Vec<_> = of.values().map(|value| value.name().to_owned()).collect();
    let schema = json!({ "type": "string", "enum": names, "description": comment(&file, of.path()) });
    schemas.insert(of.name().to_owned(), schema);
    json!({ "$ref": format!("#/components/schemas/{}", of.name()) })
}

fn refusal() -> Value {
    json!({
        "type": "object",
        "description": "A refusal in Connect's form.",
        "properties": {
            "code": { "type": "string", "description": "The status of gRPC as Connect spells it." },
            "message": { "type": "string", "description": "What was wrong, and what to do." },
            "details": {
                "type": "array",
                "description": "The details of google.rpc.Status.",
                "items": {
                    "type": "object",
                    "properties": {
                        "type": { "type": "string", "description": "Such as `google.rpc.ErrorInfo`." },
                        "value": { "type": "string", "contentEncoding": "base64", "description": "The message, without padding." }
                    },
                    "required": ["type", "value"]
                }
            }
        },
        "required": ["code", "message"]
    })
}
