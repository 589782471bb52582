//! Promises of the lake wing that hold within one transaction.
