"""A store that does not show an app is asked, but does not make what is known of it any newer."""

from django.db import migrations, models
from django.db.models import F


def tell_asked_from_checked(apps, schema_editor):
    listings = apps.get_model("tokens", "Listing").objects
    listings.exclude(checked_at=None).update(asked_at=F("checked_at"))
    # When such an app was shown last was not kept: at any rate when its version was first seen.
    listings.filter(outcome="not_found").update(checked_at=F("version_seen_at"))


class Migration(migrations.Migration):
    dependencies = [("tokens", "0005_syncs_for_missed_licenses")]

    operations = [
        migrations.AddField(
            model_name="listing",
            name="asked_at",
            field=models.DateTimeField(
                help_text="When the store answered last, also that it does not show it.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="listing",
            name="checked_at",
            field=models.DateTimeField(help_text="When the store showed what is known of it.", null=True),
        ),
        migrations.RunPython(tell_asked_from_checked, migrations.RunPython.noop),
    ]
