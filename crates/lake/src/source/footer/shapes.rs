//! The structs of parquet.thrift, as far as the reader knows them.

use super::thrift::{Shape, Tag, Type};
use Type::{Binary, Bool, Byte, Double, I16, I32, I64, List, Struct};

/// FileMetaData.
pub(crate) static FILE: Shape = Shape {
    tag: Tag::File,
    fields: &[
        (1, I32),
        (2, List(&Struct(&ELEMENT))),
        (3, I64),
        (4, List(&Struct(&ROW_GROUP))),
        (5, List(&Struct(&KEY_VALUE))),
        (6, Binary),
        (7, List(&Struct(&COLUMN_ORDER))),
        (8, Struct(&EMPTY)),
    ],
};
/// PageHeader.
pub(crate) static PAGE: Shape = Shape {
    tag: Tag::Page,
    fields: &[
        (1, I32),
        (2, I32),
        (3, I32),
        (4, I32),
        (5, Struct(&DATA_PAGE)),
        (6, Struct(&EMPTY)),
        (7, Struct(&DICTIONARY_PAGE)),
        (8, Struct(&DATA_PAGE_V2)),
    ],
};

/// Field numbers that somebody asks for.
pub(crate) mod field {
    pub(crate) const FILE_SCHEMA: i16 = 2;
    pub(crate) const FILE_ROW_GROUPS: i16 = 4;
    pub(crate) const FILE_ENCRYPTION: i16 = 8;
    pub(crate) const ELEMENT_LENGTH: i16 = 2;
    pub(crate) const ELEMENT_CHILDREN: i16 = 5;
    pub(crate) const ROW_GROUP_COLUMNS: i16 = 1;
    pub(crate) const META_CODEC: i16 = 4;
    pub(crate) const PAGE_TYPE: i16 = 1;
    pub(crate) const PAGE_UNCOMPRESSED: i16 = 2;
    pub(crate) const PAGE_COMPRESSED: i16 = 3;
    /// The first field of all three kinds of page.
    pub(crate) const PAGE_VALUES: i16 = 1;
    pub(crate) const PAGE_ENCODING: i16 = 2;
    pub(crate) const PAGE_V2_ROWS: i16 = 3;
    pub(crate) const PAGE_V2_ENCODING: i16 = 4;
}

static ELEMENT: Shape = Shape {
    tag: Tag::Element,
    fields: &[
        (1, I32),
        (2, I32),
        (3, I32),
        (4, Binary),
        (5, I32),
        (6, I32),
        (7, I32),
        (8, I32),
        (9, I32),
        (10, Struct(&LOGICAL_TYPE)),
    ],
};
static LOGICAL_TYPE: Shape = Shape {
    tag: Tag::Other,
    fields: &[
        (1, Struct(&EMPTY)),
        (2, Struct(&EMPTY)),
        (3, Struct(&EMPTY)),
        (4, Struct(&EMPTY)),
        (5, Struct(&Shape { tag: Tag::Other, fields: &[(1, I32), (2, I32)] })),
        (6, Struct(&EMPTY)),
        (7, Struct(&TIME_TYPE)),
        (8, Struct(&TIME_TYPE)),
        (10, Struct(&Shape { tag: Tag::Other, fields: &[(1, Byte), (2, Bool)] })),
        (11, Struct(&EMPTY)),
        (12, Struct(&EMPTY)),
        (13, Struct(&EMPTY)),
        (14, Struct(&EMPTY)),
        (15, Struct(&EMPTY)),
        (16, Struct(&Shape { tag: Tag::Other, fields: &[(1, Byte)] })),
        (17, Struct(&Shape { tag: Tag::Other, fields: &[(1, Binary)] })),
        (18, Struct(&Shape { tag: Tag::Other, fields: &[(1, Binary), (2, I32)] })),
    ],
};
static TIME_TYPE: Shape = Shape { tag: Tag::Other, fields: &[(1, Bool), (2, Struct(&TIME_UNIT))] };
static TIME_UNIT: Shape =
    Shape { tag: Tag::Other, fields: &[(1, Struct(&EMPTY)), (2, Struct(&EMPTY)), (3, Struct(&EMPTY))] };
static EMPTY: Shape = Shape { tag: Tag::Other, fields: &[] };
static KEY_VALUE: Shape = Shape { tag: Tag::Other, fields: &[(1, Binary), (2, Binary)] };
static COLUMN_ORDER: Shape = Shape { tag: Tag::Other, fields: &[(1, Struct(&EMPTY)), (2, Struct(&EMPTY))] };
static SORTING: Shape = Shape { tag: Tag::Other, fields: &[(1, I32), (2, Bool), (3, Bool)] };
static ROW_GROUP: Shape = Shape {
    tag: Tag::RowGroup,
    fields: &[
        (1, List(&Struct(&CHUNK))),
        (2, I64),
        (3, I64),
        (4, List(&Struct(&SORTING))),
        (5, I64),
        (6, I64),
        (7, I16),
    ],
};
static CHUNK: Shape = Shape {
    tag: Tag::Chunk,
    fields: &[(1, Binary), (2, I64), (3, Struct(&META)), (4, I64), (5, I32), (6, I64), (7, I32)],
};
static META: Shape = Shape {
    tag: Tag::Meta,
    fields: &[
        (1, I32),
        (2, List(&I32)),
        (3, List(&Binary)),
        (4, I32),
        (5, I64),
        (6, I64),
        (7, I64),
        (8, List(&Struct(&KEY_VALUE))),
        (9, I64),
        (10, I64),
        (11, I64),
        (12, Struct(&STATISTICS)),
        (13, List(&Struct(&ENCODING_STATS))),
        (14, I64),
        (15, I32),
        (16, Struct(&SIZE_STATISTICS)),
        (17, Struct(&GEO_STATISTICS)),
    ],
};
static STATISTICS: Shape = Shape {
    tag: Tag::Other,
    fields: &[(1, Binary), (2, Binary), (3, I64), (4, I64), (5, Binary), (6, Binary), (7, Bool), (8, Bool)],
};
static ENCODING_STATS: Shape = Shape { tag: Tag::Other, fields: &[(1, I32), (2, I32), (3, I32)] };
static SIZE_STATISTICS: Shape = Shape { tag: Tag::Other, fields: &[(1, I64), (2, List(&I64)), (3, List(&I64))] };
static GEO_STATISTICS: Shape = Shape { tag: Tag::Other, fields: &[(1, Struct(&BOX)), (2, List(&I32))] };
static BOX: Shape = Shape {
    tag: Tag::Other,
    fields: &[(1, Double), (2, Double), (3, Double), (4, Double), (5, Double), (6, Double), (7, Double), (8, Double)],
};
static DATA_PAGE: Shape =
    Shape { tag: Tag::DataPage, fields: &[(1, I32), (2, I32), (3, I32), (4, I32), (5, Struct(&STATISTICS))] };
static DICTIONARY_PAGE: Shape = Shape { tag: Tag::DictionaryPage, fields: &[(1, I32), (2, I32), (3, Bool)] };
static DATA_PAGE_V2: Shape = Shape {
    tag: Tag::DataPageV2,
    fields: &[(1, I32), (2, I32), (3, I32), (4, I32), (5, I32), (6, I32), (7, Bool), (8, Struct(&STATISTICS))],
};
