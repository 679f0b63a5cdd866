//! The nouns of the chain: networks, identities, records.
