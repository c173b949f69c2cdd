//! As much of MessagePack as sharded repodata needs (CEP 16).

use serde_json::Value;

/// JSON as MessagePack, digests as the bytes that they stand for.
pub(super) fn encode(value: &Value) -> Vec<u8> {
    let mut out = vec![];
    put(&mut out, value, false);
    out
}

fn put(out: &mut Vec<u8>, value: &Value, is_digest: bool) {
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(value) => out.push(if *value { 0xc3 } else { 0xc2 }),
        Value::Number(number) => {
            out.push(0xcf);
            out.extend(number.as_u64().expect("no other numbers").to_be_bytes());
        }
        Value::String(text) if is_digest => {
            let bytes: Vec<u8> = (0..text.len() / 2)
                .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hex digits"))
                .collect();
            out.push(0xc4);
            out.push(bytes.len() as u8);
            out.extend(bytes);
        }
        Value::String(text) => {
            out.push(0xdb);
            out.extend(length(text.len()));
            out.extend(text.as_bytes());
        }
        Value::Array(items) => {
            out.push(0xdd);
            out.extend(length(items.len()));
            items.iter().for_each(|item| put(out, item, false));
        }
        Value::Object(items) => {
            out.push(0xdf);
            out.extend(length(items.len()));
            for (key, value) in items {
                put(out, &Value::String(key.clone()), false);
                let digest = matches!(key.as_str(), "sha256" | "md5");
                match (key.as_str(), value) {
                    ("shards", Value::Object(shards)) => {
                        out.push(0xdf);
                        out.extend(length(shards.len()));
                        for (name, digest) in shards {
                            put(out, &Value::String(name.clone()), false);
                            put(out, digest, true);
                        }
                    }
                    _ => put(out, value, digest),
                }
            }
        }
    }
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("small data").to_be_bytes()
}
