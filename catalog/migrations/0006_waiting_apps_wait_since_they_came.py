"""Apps that waited for approval before it had steps wait since they were added, and know whose token brought them."""

from django.db import migrations
from django.db.models import F, OuterRef, Subquery


def count_from_the_addition(apps, schema_editor):
    pending = apps.get_model("catalog", "App").objects.filter(status="pending", waiting_since=None)
    tokens = apps.get_model("tokens", "ContentToken").objects.filter(pk=OuterRef("added_from"))
    pending.update(waiting_since=F("added_at"), brought_by=Subquery(tokens.values("uploaded_by")[:1]))


class Migration(migrations.Migration):
    dependencies = [("catalog", "0005_apps_stay_current")]

    operations = [migrations.RunPython(count_from_the_addition, migrations.RunPython.noop)]
