"""An update asked for by hand means the version that was the newest then; a pilot's time counts from its first device."""

from django.db import migrations, models
from django.db.models import OuterRef, Subquery


def mean_the_newest(apps, schema_editor):
    newest = apps.get_model("catalog", "App").objects.filter(pk=OuterRef("app")).values("listing__external_version_id")
    asked = apps.get_model("catalog", "Installation").objects.filter(is_update_requested=True)
    asked.update(update_asked_for=Subquery(newest[:1]))


class Migration(migrations.Migration):
    dependencies = [("catalog", "0006_waiting_apps_wait_since_they_came")]

    operations = [
        migrations.AddField(
            model_name="installation",
            name="update_asked_for",
            field=models.BigIntegerField(
                help_text="The newest version when somebody asked for the update at once; a later one is not meant.",
                null=True,
            ),
        ),
        migrations.RunPython(mean_the_newest, migrations.RunPython.noop),
        migrations.RemoveField(model_name="installation", name="is_update_requested"),
        migrations.RenameField(model_name="rollout", old_name="started_at", new_name="pilot_started_at"),
        migrations.AlterField(
            model_name="rollout",
            name="pilot_started_at",
            field=models.DateTimeField(
                help_text="When the first pilot device was sent the version: the others' time counts from there.",
                null=True,
            ),
        ),
    ]
