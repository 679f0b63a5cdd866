//! The k2pow: RandomX behind a safe face.
