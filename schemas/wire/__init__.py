"""Wire formats: what senders put on the wire, as typed structs, and how it is read. No I/O."""
