"""Django with pgvector-python: a migration with VectorExtension, VectorField, HnswIndex and IvfflatIndex,
forth and back; distances in queries."""

import os

import django
from django.conf import settings

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": os.environ["PGHOST"],
            "PORT": os.environ["PGPORT"],
            "USER": os.environ["PGUSER"],
            "NAME": os.environ["PGDATABASE"],
        }
    }
)
django.setup()

from django.db import connection, migrations, models  # noqa: E402 (after the settings)
from django.db.migrations.state import ProjectState  # noqa: E402
from pgvector.django import (  # noqa: E402
    CosineDistance,
    HnswIndex,
    IvfflatIndex,
    L2Distance,
    MaxInnerProduct,
    VectorExtension,
    VectorField,
)


class Items(migrations.Migration):
    operations = [
        VectorExtension(),
        migrations.CreateModel(
            "Item", [("id", models.BigAutoField(primary_key=True)), ("embedding", VectorField(dimensions=3, null=True))]
        ),
        migrations.AddIndex(
            "Item", HnswIndex(fields=["embedding"], name="items_l2", m=16, ef_construction=64, opclasses=["vector_l2_ops"])
        ),
        migrations.AddIndex("Item", HnswIndex(fields=["embedding"], name="items_cosine", opclasses=["vector_cosine_ops"])),
        migrations.AddIndex(
            "Item", IvfflatIndex(fields=["embedding"], name="items_ip", lists=2, opclasses=["vector_ip_ops"])
        ),
    ]


migration = Items("0001_items", "shop")
with connection.schema_editor(atomic=True) as editor:
    state = migration.apply(ProjectState(), editor)
Item = state.apps.get_model("shop", "Item")

Item.objects.bulk_create(Item(id=i, embedding=[i, 10 - i, 1]) for i in range(11))
Item.objects.create(id=99, embedding=None)
assert Item.objects.get(id=3).embedding == [3, 7, 1]
assert Item.objects.get(id=99).embedding is None

with connection.cursor() as cursor:
    cursor.execute("SET enable_seqscan = off")
    cursor.execute("SET ivfflat.probes = 2")
for distance, index, expected in [
    (L2Distance("embedding", [18, 3, 2]), "items_l2", [10, 9]),
    (CosineDistance("embedding", [18, 3, 2]), "items_cosine", [9, 8]),
    (MaxInnerProduct("embedding", [18, 3, 2]), "items_ip", [10, 9]),
]:
    nearest = Item.objects.order_by(distance)[:2]
    assert index in nearest.explain(), nearest.explain()
    assert [item.id for item in nearest] == expected, index
near = Item.objects.alias(distance=L2Distance("embedding", [9, 1.5, 1])).filter(distance__lt=2)
assert sorted(item.id for item in near) == [8, 9, 10]

with connection.schema_editor(atomic=True) as editor:
    migration.unapply(ProjectState(), editor)
assert connection.introspection.table_names() == []
