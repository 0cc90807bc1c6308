"""See which licenses came back by themselves when people were retired."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from django.db import transaction

from tokens import counts, registration
from tokens.apple import AppleClient
from tokens.many import Texts
from tokens.models import Assignment, ContentToken, SyncReason

MOST_PRODUCTS: Final = 20
"""The counts of that many products are read again at once; for more a sync is asked for."""


def read_back(token: ContentToken, client: AppleClient, client_user_ids: Collection[str]) -> None:
    """Ask Apple what these people still hold, and take the rest out of the mirror.

    What Apple's lists show a little late, and the counts of many products, are left to a sync.
    """
    mirrored = list(
        Assignment.objects.filter(asset__token=token, client_user_id__in=Texts(client_user_ids))
        .exclude(client_user_id="")
        .select_related("asset")
    )
    if not mirrored:
        return
    listed = {
        (row.adam_id, row.pricing_param, row.client_user_id)
        for key in sorted({row.client_user_id for row in mirrored})
        for page in client.assignments(clientUserId=key)
        for row in page.items
    }
    still = [row for row in mirrored if (row.asset.adam_id, row.asset.pricing_param, row.client_user_id) in listed]
    kept = {row.pk for row in still}
    gone = [row for row in mirrored if row.pk not in kept]
    products = sorted({row.asset.adam_id for row in gone})
    seen = [row for adam_id in products[:MOST_PRODUCTS] for row in counts.read(client, adam_id)]
    with transaction.atomic():
        Assignment.objects.filter(pk__in=[row.pk for row in gone]).delete()
        counts.keep(token, seen)
        if len(products) > MOST_PRODUCTS or any(row.asset.is_revocable for row in still):
            registration.ask_for_sync(token, SyncReason.SCHEDULE, None)
