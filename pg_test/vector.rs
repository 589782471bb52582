//! Promises of the vector wing that hold within one transaction.

#[pgrx::pg_schema]
mod tests {
    use pgrx::datum::DatumWithOid;
    use pgrx::{FromDatum, IntoDatum, PgTryBuilder, Spi, pg_extern, pg_sys, pg_test};

    use lagoon_vector::distance::half::f16;

    use crate::pg::datum::vector::{
        BitRef, SparsevecRef, VECTOR, Vector, VectorError, VectorRef, alloc, alloc_bits, alloc_sparse, to_datum,
    };

    fn vector(values: &[f32]) -> Vector {
        Vector::try_from(values).unwrap()
    }

    /// For the tests below, called through SQL.
    #[pg_extern]
    fn vector_reversed(given: Vector) -> Vector {
        let mut values = given.to_vec();
        values.reverse();
        Vector::new(values).unwrap()
    }

    /// For the tests below, called through SQL.
    #[pg_extern]
    fn vectors_reversed(given: Vec<Vector>) -> Vec<Vector> {
        given.into_iter().rev().collect()
    }

    #[pg_test]
    fn vector_is_an_argument_and_a_result() {
        let found = Spi::get_one::<Vector>("SELECT tests.vector_reversed('[1,2,3]')").unwrap();
        assert_eq!(found, Some(vector(&[3.0, 2.0, 1.0])));
        assert_eq!(Spi::get_one::<Vector>("SELECT tests.vector_reversed(NULL)").unwrap(), None);
    }

    #[pg_test]
    fn vector_arrays_are_arguments_and_results() {
        let found = Spi::get_one::<String>("SELECT tests.vectors_reversed('{[1],\"[2,3]\"}')::text").unwrap();
        assert_eq!(found.as_deref(), Some("{\"[2,3]\",[1]}"));
    }

    #[pg_test]
    fn vector_is_a_parameter_of_spi() {
        let given = vector(&[0.5, -1.0]);
        // SAFETY: a datum of that type.
        let parameter = unsafe { DatumWithOid::new(to_datum::<f32>(&given), VECTOR.oid()) };
        let found = Spi::get_one_with_args::<Vector>("SELECT $1 + '[1,1]'", &[parameter]).unwrap();
        assert_eq!(found, Some(vector(&[1.5, 0.0])));
    }

    /// Every form in which PostgreSQL stores a value gives the same elements.
    #[pg_test]
    fn vector_is_read_from_every_form_of_storage() {
        Spi::run("CREATE TEMPORARY TABLE forms (storage text, v vector)").unwrap();
        for length in [1usize, 29, 30, 31, 500, 3000, 16_000] {
            for storage in ["plain", "main", "external", "extended"] {
                if storage == "plain" && length > 1900 {
                    continue; // does not fit a page
                }
                Spi::run(&format!("ALTER TABLE forms ALTER v SET STORAGE {storage}")).unwrap();
                Spi::run(&format!("INSERT INTO forms SELECT '{storage}', array_agg(i % 5)::vector FROM generate_series(1, {length}) AS i"))
                    .unwrap();
                let found = Spi::get_one::<Vector>("SELECT v FROM forms").unwrap().unwrap();
                assert!(found.iter().enumerate().all(|(i, x)| *x == ((i + 1) % 5) as f32), "{storage} {length}");
                assert_eq!(found.len(), length);
                assert_eq!(Spi::get_one::<f64>("SELECT v <-> v FROM forms").unwrap(), Some(0.0));
                Spi::run("TRUNCATE forms").unwrap();
            }
        }
    }

    #[pg_test]
    fn vector_of_another_schema_is_not_ours() {
        let ours = VECTOR.oid();
        Spi::run("CREATE SCHEMA other; CREATE DOMAIN other.vector AS text; SET LOCAL search_path = other, public")
            .unwrap();
        assert_eq!(VECTOR.oid(), ours);
        assert_eq!(Vector::type_oid(), ours);
    }

    #[pg_test]
    fn vector_with_a_wrong_length_is_refused() {
        for dimensions in [0u16, 2, 4, u16::MAX] {
            let (datum, _) = alloc::<f32>(3);
            // SAFETY: the dimensions stand behind the length word.
            unsafe { *datum.cast_mut_ptr::<u16>().add(2) = dimensions };
            let caught = PgTryBuilder::new(|| {
                // SAFETY: a plain varlena, although a damaged one.
                let _ = unsafe { VectorRef::from_datum(datum) };
                false
            })
            .catch_when(pgrx::PgSqlErrorCode::ERRCODE_DATA_CORRUPTED, |_| true)
            .execute();
            assert!(caught, "{dimensions}");
        }
    }

    #[pg_test]
    fn vector_refuses_what_is_no_vector() {
        assert_eq!(Vector::new(vec![]), Err(VectorError::Empty("vector")));
        assert_eq!(Vector::new(vec![0.0; 16_001]), Err(VectorError::TooLong("vector", 16_000)));
        assert_eq!(Vector::new(vec![1.0, f32::NAN]), Err(VectorError::NotANumber("vector")));
        assert_eq!(Vector::new(vec![f32::NEG_INFINITY]), Err(VectorError::Infinite("vector")));
        assert!(Vector::new(vec![0.0; 16_000]).is_ok());
    }

    /// The layout of pgvector: `{length word, i16 dimensions, i16 zero, elements}`.
    #[pg_test]
    fn vector_layout_is_stable() {
        let datum = to_datum(&[1.0f32, -2.0]);
        // SAFETY: sixteen bytes, as just built.
        let bytes = unsafe { std::slice::from_raw_parts(datum.cast_mut_ptr::<u8>(), 16) };
        assert_eq!(bytes, [64, 0, 0, 0, 2, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 192]);
        // SAFETY: a vector.
        assert_eq!(unsafe { Vector::from_datum(datum, false) }, Some(vector(&[1.0, -2.0])));
        // SAFETY: a NULL is not looked at.
        assert_eq!(unsafe { Vector::from_datum(pg_sys::Datum::null(), true) }, None);
    }

    /// The layouts of pgvector: elements of two bytes; and `{length word, dimensions, count, zero, indices, elements}`.
    #[pg_test]
    fn vector_layouts_of_the_other_types_are_stable() {
        // SAFETY: as many bytes as the value has.
        let bytes =
            |datum: pg_sys::Datum, size| unsafe { std::slice::from_raw_parts(datum.cast_mut_ptr::<u8>(), size) };
        let half = to_datum(&[f16::ONE, f16::from_f32(-2.0), f16::MAX]);
        assert_eq!(bytes(half, 14), [56, 0, 0, 0, 3, 0, 0, 0, 0, 60, 0, 192, 255, 123]);
        let (sparse, indices, values) = alloc_sparse(258, 2);
        indices.copy_from_slice(&[1, 6]);
        values.copy_from_slice(&[1.0, -2.0]);
        let header = [128, 0, 0, 0, 2, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(bytes(sparse, 16), header);
        assert_eq!(bytes(sparse, 32)[16..], [1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 192]);
        let (bit, _) = alloc_bits(9);
        assert_eq!(bytes(bit, 10), [40, 0, 0, 0, 9, 0, 0, 0, 0, 0]);
    }

    /// No stored value, however damaged, is read beyond its end.
    #[pg_test]
    fn vector_types_with_a_wrong_length_are_refused() {
        fn refused(read: impl FnOnce() + std::panic::UnwindSafe) -> bool {
            PgTryBuilder::new(|| {
                read();
                false
            })
            .catch_when(pgrx::PgSqlErrorCode::ERRCODE_DATA_CORRUPTED, |_| true)
            .execute()
        }
        for count in [-1, 1, 3, 16_001, i32::MAX] {
            let (datum, _, _) = alloc_sparse(5, 2);
            // SAFETY: the count stands behind the length word and the dimensions; a plain varlena, although a damaged one.
            let read = move || unsafe {
                *datum.cast_mut_ptr::<i32>().add(2) = count;
                drop(SparsevecRef::from_datum(datum));
            };
            assert!(refused(read), "{count}");
        }
        for bits in [-1, 0, 8, 17, i32::MAX] {
            let (datum, _) = alloc_bits(9);
            // SAFETY: the number of bits stands behind the length word; a plain varlena, although a damaged one.
            let read = move || unsafe {
                *datum.cast_mut_ptr::<i32>().add(1) = bits;
                drop(BitRef::from_datum(datum));
            };
            assert!(refused(read), "{bits}");
        }
        let half = to_datum(&[f16::ONE; 3]);
        // SAFETY: a plain varlena, taken for another type.
        assert!(refused(move || unsafe { drop(VectorRef::from_datum(half)) }));
    }

    /// `real` and an element are written alike, over all magnitudes.
    #[pg_test]
    fn vector_elements_are_written_as_real() {
        let differing = Spi::get_one::<i64>(
            "SELECT count(*) FROM (
                 SELECT ((1 + (i % 997) / 997.0) * 10::float8 ^ (i % 75 - 37))::real AS x FROM generate_series(1, 20000) AS i
             ) AS t WHERE ARRAY[x]::vector::text IS DISTINCT FROM '[' || x::text || ']' OR ('[' || x::text || ']')::vector <> ARRAY[x]::vector",
        );
        assert_eq!(differing.unwrap(), Some(0));
    }

    /// Whatever the text, it is a vector or one of four errors that name the type or the element; what is read is written so
    /// that it is read again.
    #[pg_test]
    fn vector_input_survives_any_text() {
        Spi::run(
            r"DO $$
            DECLARE
                alphabet text[] := string_to_array('[|]|,|,|1|2|0|9|.|-|+|e|E|nan|inf| |1e39|1e-50|x|é|' || chr(9), '|');
                literal text;
                v public.vector;
                good integer := 0;
            BEGIN
                PERFORM setseed(0.25);
                FOR n IN 1..5000 LOOP
                    SELECT string_agg(alphabet[1 + floor(random() * array_length(alphabet, 1))], '') INTO literal
                    FROM generate_series(1, 1 + n % 9);
                    IF n % 2 = 0 THEN
                        literal := '[' || literal || ']';
                    END IF;
                    BEGIN
                        v := literal;
                        good := good + 1;
                    EXCEPTION WHEN invalid_text_representation OR data_exception OR numeric_value_out_of_range THEN
                        ASSERT SQLERRM LIKE '%vector%', SQLERRM;
                        CONTINUE;
                    END;
                    ASSERT v = v::text::public.vector, literal;
                END LOOP;
                ASSERT good > 100, 'the texts are too bad: ' || good;
            END
            $$",
        )
        .unwrap();
    }
}
