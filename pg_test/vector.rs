//! Promises of the vector wing that hold within one transaction.
