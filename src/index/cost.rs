//! What estimates of costs have in common.

/// Costs of one path.
pub struct Estimate {
    /// Before the first row.
    pub startup: f64,
    /// Of all rows.
    pub total: f64,
    /// The share of the rows that the scan returns.
    pub selectivity: f64,
    /// Of the order of the index and that of the table.
    pub correlation: f64,
    /// Pages of the index.
    pub pages: f64,
}

/// Of a scan without ORDER BY. Infinity would overflow into other paths as NaN; this is enough.
pub const NEVER: Estimate =
    Estimate { startup: f64::MAX / 1e10, total: f64::MAX / 1e10, selectivity: 0.0, correlation: 0.0, pages: 0.0 };
