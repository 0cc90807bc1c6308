"""Apps that waited for approval before it had steps wait since they were added."""

from django.db import migrations
from django.db.models import F


def count_from_the_addition(apps, schema_editor):
    pending = apps.get_model("catalog", "App").objects.filter(status="pending", waiting_since=None)
    pending.update(waiting_since=F("added_at"))


class Migration(migrations.Migration):
    dependencies = [("catalog", "0005_apps_stay_current")]

    operations = [migrations.RunPython(count_from_the_addition, migrations.RunPython.noop)]
