//! Source trees: ignore rules, walking, digesting, the stat index; reads files, never writes the tree.
