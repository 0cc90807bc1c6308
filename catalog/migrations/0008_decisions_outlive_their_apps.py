"""Decisions on apps know the app by its own id and name, and stay when its row goes."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import OuterRef, Q, Subquery


def note_the_app(apps, schema_editor):
    of_app = apps.get_model("catalog", "App").objects.filter(pk=OuterRef("app"))
    apps.get_model("catalog", "Decision").objects.update(
        adam_id=Subquery(of_app.values("adam_id")[:1]), app_name=Subquery(of_app.values("listing__name")[:1])
    )


class Migration(migrations.Migration):
    dependencies = [("catalog", "0007_updates_are_asked_for_by_version")]

    operations = [
        migrations.AddField(
            model_name="decision",
            name="adam_id",
            field=models.CharField(
                db_index=True, default="", max_length=20, verbose_name="iTunes App ID"
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="decision",
            name="app_name",
            field=models.CharField(
                default="", help_text="As it was called at that time.", max_length=250
            ),
            preserve_default=False,
        ),
        migrations.RunPython(note_the_app, migrations.RunPython.noop),
        migrations.RemoveConstraint(model_name="decision", name="one_approval_of_a_step"),
        migrations.AlterField(
            model_name="decision",
            name="app",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="decisions",
                to="catalog.app",
            ),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.UniqueConstraint(
                condition=Q(kind="approved"), fields=("adam_id", "round", "step"), name="one_approval_of_a_step"
            ),
        ),
        migrations.AlterField(
            model_name="decision",
            name="kind",
            field=models.CharField(
                choices=[
                    ("approved", "Approved"),
                    ("rejected", "Rejected"),
                    ("asked_again", "Asked again"),
                    ("deleted", "Deleted unapproved"),
                ],
                max_length=12,
            ),
        ),
    ]
