"""SQLAlchemy with pgvector-python: a mapped column, an index in the metadata, distances in queries, reflection."""

from pgvector.sqlalchemy import VECTOR, avg
from sqlalchemy import Index, Integer, MetaData, Table, create_engine, inspect, select, text
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id = mapped_column(Integer, primary_key=True)
    embedding = mapped_column(VECTOR(3))
    __table_args__ = (
        Index(
            "items_embedding",
            "embedding",
            postgresql_using="hnsw",
            postgresql_with={"m": 16, "ef_construction": 64},
            postgresql_ops={"embedding": "vector_cosine_ops"},
        ),
    )


engine = create_engine("postgresql+psycopg://")
with engine.begin() as connection:
    connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
Base.metadata.create_all(engine)

with Session(engine) as session:
    session.add_all(Item(id=i, embedding=[i, 10 - i, 1]) for i in range(11))
    session.add(Item(id=99))
    session.commit()

    assert session.get(Item, 3).embedding == [3, 7, 1]
    assert session.get(Item, 99).embedding is None
    assert session.scalar(select(avg(Item.embedding))) == [5, 5, 1]

    query = [18, 3, 2]
    for distance, expected in [
        (Item.embedding.l2_distance(query), [10, 9]),
        (Item.embedding.max_inner_product(query), [10, 9]),
        (Item.embedding.cosine_distance(query), [9, 8]),
        (Item.embedding.l1_distance([9, 1.5, 1]), [9, 8]),
    ]:
        found = session.scalars(select(Item.id).where(Item.embedding.is_not(None)).order_by(distance).limit(2)).all()
        assert found == expected, (str(distance), found)

    session.execute(text("SET enable_seqscan = off"))
    distance = Item.embedding.cosine_distance(query)
    statement = select(Item.id, distance.label("distance")).order_by(distance).limit(2)
    plan = session.execute(text(f"EXPLAIN {statement.compile(engine, compile_kwargs={'literal_binds': True})}")).all()
    assert "items_embedding" in str(plan), plan
    assert [row.id for row in session.execute(statement)] == [9, 8]

reflected = Table("items", MetaData(), autoload_with=engine)
assert isinstance(reflected.c.embedding.type, VECTOR) and reflected.c.embedding.type.dim == 3
assert "items_embedding" in [index["name"] for index in inspect(engine).get_indexes("items")]
