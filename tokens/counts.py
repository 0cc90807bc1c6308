"""Read the counts of one product again, without a whole sync."""

from __future__ import annotations

from tokens.apple import AppleClient, PageOutOfRange, Walk
from tokens.apple import Asset as AppleAsset
from tokens.mirror import ASSET_FIELDS, as_asset, take_over
from tokens.models import Asset, ContentToken


def read(client: AppleClient, adam_id: str) -> list[AppleAsset]:
    """Return what Apple says now of the assets of a product; nothing where its list moved meanwhile."""
    walk = Walk(client.assets(adamId=adam_id))
    try:
        found = [row for page in walk for row in page.items if row.adam_id == adam_id]
    except PageOutOfRange:
        return []
    return found if walk.is_clean else []


def keep(token: ContentToken, seen: list[AppleAsset]) -> bool:
    """Store counts read before; return whether anything differed. What is not mirrored yet waits for a sync."""
    wanted = {(row.adam_id, row.pricing_param): as_asset(token, row) for row in seen}
    stored = Asset.objects.filter(token=token, adam_id__in={adam_id for adam_id, _ in wanted}).order_by("pk")
    changed = False
    for asset in stored.select_for_update(of=("self",)):
        now = wanted.get((asset.adam_id, asset.pricing_param))
        if now is not None and take_over(asset, now):
            asset.save(update_fields=ASSET_FIELDS)
            changed = True
    return changed
