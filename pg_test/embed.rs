//! Promises of the embed wing that hold within one transaction.
