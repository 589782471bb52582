#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn a_location_is_made_within_the_rights_of_a_role_only() {
    let rights = Rights::beneath(vec!["/lake".into(), "/pond/a".into()]);
    for path in ["/lake", "/lake/a.parquet", "/lake/**/*.parquet", "/pond/a/b"] {
        assert_eq!(Location::local(path, &rights).unwrap().to_string(), path);
    }
    for path in ["/lakes/a", "/pond", "/lake/../etc/passwd", "/lake/*/../../etc", "/"] {
        assert_eq!(Location::local(path, &rights).unwrap_err().sqlstate(), "42501", "{path}");
        assert!(Location::local(path, &Rights::everywhere()).is_ok());
    }
    for rights in [rights, Rights::everywhere()] {
        assert!(matches!(Location::local("lake/a.parquet", &rights), Err(Error::RelativePath { .. })));
    }
}
