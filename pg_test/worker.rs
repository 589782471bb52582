//! Promises of the worker wing that hold within one transaction.
