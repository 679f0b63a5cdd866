//! How node and prover reach each other: the local socket.
