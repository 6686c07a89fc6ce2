//! Parser events → tree.
//!
//! In: one event at a time. Out: the root node. Works on an explicit stack, so that depth costs no recursion; every node
//! that an alias repeats is paid for out of one budget.

use std::collections::HashMap;

use saphyr_parser::{Event, ScalarStyle, ScanError, Span};

use super::{
    Entry, FileId, Invalid, Kind, MAX_DEPTH, MAX_NODES, MergeTag, Node, Place, Scalar, Value,
    tags::{collection_tag, word},
};

/// A collection that is being filled.
enum Open {
    List {
        items: Vec<Node>,
        at: Place,
        anchor: usize,
        merge: MergeTag,
    },
    Map(OpenMap),
}

/// A mapping that is being filled.
struct OpenMap {
    entries: Vec<Entry>,
    seen: HashMap<String, Place>,
    key: Option<(String, Place)>,
    merged: Vec<Node>,
    at: Place,
    anchor: usize,
    merge: MergeTag,
}

/// The key that stands for YAML's merge key; no text of a file can equal it.
const MERGE_KEY: &str = "\0<<";

/// Collects the events of one stream.
pub(super) struct Builder {
    file: FileId,
    stack: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    documents: usize,
    root: Option<Node>,
    /// The end of the text.
    end: Place,
}

impl Builder {
    pub(super) fn new(file: FileId, text: &str) -> Self {
        Self {
            file,
            end: end(file, text),
            stack: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            documents: 0,
            root: None,
        }
    }

    pub(super) fn finish(self) -> Option<Node> {
        self.root
    }

    /// Takes one event.
    pub(super) fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Invalid> {
        let at = self.place(span);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => self.document(at),
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::Scalar(text, style, anchor, tag) => {
                let (scalar, merge) = word(&text, style, tag.as_deref(), at)?;
                let is_merge_key = style == ScalarStyle::Plain && text == "<<";
                self.spend(1, at)?;
                let node = Node {
                    value: Value::Scalar(scalar),
                    at,
                    merge,
                };
                self.anchor(anchor, &node, 1);
                self.place_node(node, is_merge_key)
            }
            Event::SequenceStart(anchor, tag) => {
                let merge = collection_tag(tag.as_ref(), "seq", at)?;
                self.open(
                    Open::List {
                        items: Vec::new(),
                        at,
                        anchor,
                        merge,
                    },
                    at,
                )
            }
            Event::MappingStart(anchor, tag) => {
                let merge = collection_tag(tag.as_ref(), "map", at)?;
                let map = OpenMap {
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    key: None,
                    merged: Vec::new(),
                    at,
                    anchor,
                    merge,
                };
                self.open(Open::Map(map), at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
        }
    }

    fn document(&mut self, at: Place) -> Result<(), Invalid> {
        self.documents += 1;
        if self.documents > 1 {
            let mut error = Invalid::new(at, "a second document starts here");
            error.hint = Some(
                "keep one document in a file: remove the --- line or split the file".to_owned(),
            );
            return Err(error);
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, at: Place) -> Result<(), Invalid> {
        let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
            return Err(Invalid::new(
                at,
                "the alias stands inside the very value that it names",
            ));
        };
        self.spend(size, at)?;
        self.place_node(node, false)
    }

    fn open(&mut self, open: Open, at: Place) -> Result<(), Invalid> {
        self.spend(1, at)?;
        if self.stack.len() >= MAX_DEPTH {
            return Err(Invalid::new(
                at,
                format!("nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        self.stack.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Invalid> {
        let (node, anchor) = match self.stack.pop() {
            Some(Open::List {
                items,
                at,
                anchor,
                merge,
            }) => (
                Node {
                    value: Value::List(items),
                    at,
                    merge,
                },
                anchor,
            ),
            Some(Open::Map(map)) => {
                let anchor = map.anchor;
                (merged(map)?, anchor)
            }
            None => return Ok(()),
        };
        if anchor > 0 {
            let size = size(&node);
            self.anchor(anchor, &node, size);
        }
        self.place_node(node, false)
    }

    fn anchor(&mut self, anchor: usize, node: &Node, size: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
    }

    fn spend(&mut self, nodes: usize, at: Place) -> Result<(), Invalid> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            return Err(Invalid::new(
                at,
                format!("more than {MAX_NODES} values once aliases are resolved"),
            ));
        }
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn place_node(&mut self, node: Node, is_merge_key: bool) -> Result<(), Invalid> {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map(map)) => match map.key.take() {
                None => map.key = Some(key_of(&node, is_merge_key)?),
                Some((key, _)) if key == MERGE_KEY => map.merged.push(node),
                Some((key, at)) => {
                    if let Some(first) = map.seen.get(&key) {
                        let message =
                            format!("the key {key} is already given in line {}", first.line);
                        return Err(Invalid::new(at, message));
                    }
                    map.seen.insert(key.clone(), at);
                    map.entries.push(Entry {
                        key,
                        at,
                        value: node,
                    });
                }
            },
        }
        Ok(())
    }

    fn place(&self, span: Span) -> Place {
        let same_line = span.start.line() == span.end.line();
        let length = if same_line {
            span.end.col().saturating_sub(span.start.col())
        } else {
            1
        };
        self.within(Place {
            file: self.file,
            line: span.start.line().max(1),
            column: span.start.col() + 1,
            length: length.max(1),
        })
    }

    /// The scanner puts the end of a text without a last line end on the line after it, which is not there.
    fn within(&self, at: Place) -> Place {
        if at.line > self.end.line {
            self.end
        } else {
            at
        }
    }

    /// A mistake that the scanner found.
    pub(super) fn mistake(&self, error: &ScanError) -> Invalid {
        let marker = error.marker();
        let at = self.within(Place {
            file: self.file,
            line: marker.line().max(1),
            column: marker.col() + 1,
            length: 1,
        });
        let mut invalid = Invalid::new(at, format!("this is not YAML: {}", error.info()));
        if error.info().contains("tab") {
            invalid.hint = Some("indent with spaces".to_owned());
        }
        invalid
    }
}

/// The text of a key.
fn key_of(node: &Node, is_merge_key: bool) -> Result<(String, Place), Invalid> {
    if is_merge_key {
        return Ok((MERGE_KEY.to_owned(), node.at));
    }
    match &node.value {
        Value::Scalar(Scalar {
            kind: Kind::Null,
            text,
        }) if text.is_empty() => Err(Invalid::new(node.at, "a key is missing before the colon")),
        Value::Scalar(scalar) => Ok((scalar.text.clone(), node.at)),
        Value::List(_) | Value::Map(_) => {
            let mut error = Invalid::new(
                node.at,
                format!("a key must be a word, not {}", node.kind_name()),
            );
            error.hint = Some("a value that starts with [ or { needs quotes".to_owned());
            Err(error)
        }
    }
}

/// Brings in what merge keys name: own keys win, then the earlier of several.
fn merged(map: OpenMap) -> Result<Node, Invalid> {
    let OpenMap {
        mut entries,
        mut seen,
        merged,
        at,
        merge,
        ..
    } = map;
    let mut sources = Vec::new();
    for node in merged {
        match node.value {
            Value::List(items) => sources.extend(items),
            Value::Map(_) | Value::Scalar(_) => sources.push(node),
        }
    }
    for source in sources {
        let Value::Map(more) = source.value else {
            return Err(Invalid::new(
                source.at,
                format!(
                    "<< takes a map or a list of maps, not {}",
                    source.kind_name()
                ),
            ));
        };
        for entry in more {
            if !seen.contains_key(&entry.key) {
                seen.insert(entry.key.clone(), entry.at);
                entries.push(entry);
            }
        }
    }
    Ok(Node {
        value: Value::Map(entries),
        at,
        merge,
    })
}

/// How many nodes an alias of this node repeats.
fn size(node: &Node) -> usize {
    let mut count = 0_usize;
    let mut rest = vec![node];
    while let Some(node) = rest.pop() {
        count += 1;
        match &node.value {
            Value::Scalar(_) => {}
            Value::List(items) => rest.extend(items),
            Value::Map(entries) => {
                count += entries.len();
                rest.extend(entries.iter().map(|entry| &entry.value));
            }
        }
    }
    count
}

/// The place behind the last character of a text.
fn end(file: FileId, text: &str) -> Place {
    let mut lines = text.split(['\n', '\r']);
    let last = lines.next_back().unwrap_or_default();
    Place {
        file,
        // `\r\n` is one end.
        line: lines.count() + 1 - text.matches("\r\n").count(),
        column: last.chars().count() + 1,
        length: 1,
    }
}
