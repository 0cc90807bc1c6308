"""The store: what Apple's metadata lookup knows about apps and books, and who may see which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

FAMILIES = {
    "ios": ("iphone", "ipad", "ipod"),
    "ipad": ("ipad",),
    "mac": ("mac",),
    "universal": ("iphone", "ipad", "ipod", "mac"),
    "tv": ("tvos",),
    "book": (),
}
KINDS = {"mac": "desktopApp", "book": "ebook"}
STOREFRONTS = {"us": 143441, "gb": 143444, "de": 143443, "fr": 143442, "nl": 143452, "ca": 143455, "se": 143456}


@dataclass(slots=True)
class Version:
    """One build in the store."""

    display: str
    external_id: int
    released: date
    notes: str


@dataclass(slots=True)
class Product:
    """One store entry."""

    adam_id: int
    name: str
    developer: str
    genre: str
    description: str
    kind: str = "ios"
    bundle_id: str = ""
    price: float = 0.0
    minimum_os: str = "16.0"
    custom: bool = False
    device_licensing: bool = True
    missing_in: frozenset[str] = frozenset()
    delisted: bool = False
    # Countries whose stores still show the version before the newest one.
    late_in: frozenset[str] = frozenset()
    versions: list[Version] = field(default_factory=list)

    @property
    def is_public(self) -> bool:
        """Whether anybody may look it up."""
        return not self.custom and not self.delisted

    @property
    def slug(self) -> str:
        """Its name as it stands in addresses."""
        return "-".join("".join(char if char.isalnum() else " " for char in self.name.lower()).split())

    def shown_in(self, country: str) -> Version:
        """The version that the store of a country shows."""
        return self.versions[-2 if country in self.late_in and len(self.versions) > 1 else -1]


class Store:
    """All products: those that were entered, and those of big locations, which are made when they are asked for."""

    def __init__(self) -> None:
        self.products: dict[int, Product] = {}
        self.makers: list[tuple[range, Callable[[int], Product]]] = []
        # Where icons are served; known once the server listens.
        self.artwork_url = ""

    def add(self, product: Product) -> Product:
        """Enter a product."""
        self.products[product.adam_id] = product
        return product

    def find(self, adam_id: str) -> Product | None:
        """A product by its store id, whether anybody may see it or not."""
        if not (adam_id.isascii() and adam_id.isdigit()) or len(adam_id) > 12:
            return None
        number = int(adam_id)
        if number not in self.products:
            maker = next((maker for numbers, maker in self.makers if number in numbers), None)
            if maker:
                return self.add(maker(number))
        return self.products.get(number)

    def ship(self, product: Product, display: str = "", notes: str = "", minimum_os: str = "") -> Version:
        """Publish a new build; by default the last number of the version goes up by one."""
        last = product.versions[-1]
        head, _, tail = last.display.rpartition(".")
        display = display or f"{head}.{int(tail) + 1}"
        product.minimum_os = minimum_os or product.minimum_os
        notes = notes or "Fixes and improvements."
        version = Version(display, last.external_id + 1009, datetime.now(UTC).date(), notes)
        product.versions.append(version)
        return version

    def withdraw(self, product: Product) -> Version:
        """Take the newest build back: the one before it is the newest again."""
        if len(product.versions) == 1:
            raise ValueError("it is the only version")
        product.versions.pop()
        return product.versions[-1]

    def lookup(self, query: dict[str, str], owns: Callable[[str], bool]) -> dict[str, Any]:
        """The answer of the metadata lookup; what cannot be shown is simply absent, whatever the reason.

        `owns` says whether the location of the `itvt` cookie owns a product, which opens custom and delisted ones.
        """
        country, language = query.get("cc", "us").lower(), query.get("l", "en")
        results: dict[str, Any] = {}
        if query.get("p") == "mdm-lockup" and query.get("version") == "2":
            for adam_id in query.get("id", "").split(","):
                product = self.find(adam_id.strip())
                if product and country not in product.missing_in and (product.is_public or owns(adam_id.strip())):
                    results[str(product.adam_id)] = self.describe(product, country, query.get("platform", ""))
        return {
            "results": results,
            "version": 2,
            "isAuthenticated": False,
            "meta": {
                "storefront": {"id": str(STOREFRONTS.get(country, 143441)), "cc": country},
                "language": {"tag": language},
            },
        }

    def describe(self, product: Product, country: str, platform: str) -> dict[str, Any]:
        """The members of one result."""
        body: dict[str, Any] = {
            # Apple sends the id as a number or as a string; both kinds occur here.
            "id": product.adam_id if product.adam_id % 3 else str(product.adam_id),
            "name": product.name,
            "nameRaw": product.name,
            "artistName": product.developer,
            "kind": KINDS.get(product.kind, "iosSoftware"),
            "genreNames": [product.genre],
            "artwork": self.artwork(product),
            "description": {"standard": product.description},
            "releaseDate": product.versions[0].released.isoformat(),
            "copyright": f"© {product.versions[0].released.year} {product.developer}",
            "isVppDeviceBasedLicensingEnabled": product.device_licensing,
            "offers": [self.offer(product, country, platform)],
        }
        if product.kind != "book":
            body |= self._software(product, country)
        if not product.custom:
            body |= self._public(product, country)
        return body

    def _software(self, product: Product, country: str) -> dict[str, Any]:
        newest = product.shown_in(country)
        return {
            "bundleId": product.bundle_id,
            "deviceFamilies": list(FAMILIES[product.kind]),
            "minimumOSVersion": product.minimum_os,
            "isB2BCustomApp": product.custom,
            "whatsNew": newest.notes,
            "latestVersionReleaseDate": f"{newest.released:%b} {newest.released.day}, {newest.released.year}",
            "softwareInfo": {
                "seller": product.developer,
                "languagesDisplayString": "English",
                "requirementsString": f"Requires version {product.minimum_os} or later.",
            },
        }

    def _public(self, product: Product, country: str) -> dict[str, Any]:
        address = f"https://apps.example/{country}/app/{product.slug}/id{product.adam_id}"
        return {
            "isFirstParty": False,
            "is32bitOnly": False,
            "isPreorder": False,
            "hasInAppPurchases": product.adam_id % 4 == 0,
            "url": address,
            "shortUrl": address,
            "userRating": {"value": 3.5 + product.adam_id % 4 / 2 * 0.75, "ratingCount": product.adam_id % 977},
            "contentRatingsBySystem": {"appsApple": {"name": "4+", "value": 100, "rank": 1}},
        }

    def offer(self, product: Product, country: str, platform: str) -> dict[str, Any]:
        """Price and, for software, the newest version; the Mac build of a universal app counts on its own."""
        newest = product.shown_in(country)
        offer: dict[str, Any] = {
            "type": "get" if product.price == 0 else "buy",
            "price": product.price,
            "priceFormatted": f"${product.price:.2f}",
            "buyParams": f"productType=C&price={int(product.price * 1000)}&salableAdamId={product.adam_id}",
        }
        if product.kind != "book":
            is_mac_build = platform == "macappstore" and product.kind == "universal"
            external_id = newest.external_id + (500_000_000 if is_mac_build else 0)
            offer["buyParams"] += f"&appExtVrsId={external_id}"
            offer["version"] = {"display": newest.display, "externalId": external_id}
            flavor = "macSoftware" if product.kind == "mac" else "iosSoftware"
            offer["assets"] = [{"flavor": flavor, "size": _size(product)}]
        return offer

    def artwork(self, product: Product) -> dict[str, Any] | list[dict[str, Any]]:
        """Where its icon is: a template for some products, a list of finished addresses for others."""
        base = f"{self.artwork_url}/{product.adam_id}"
        if product.adam_id % 3 == 0:
            return [{"url": f"{base}/{edge}x{edge}bb.png", "width": edge, "height": edge} for edge in (60, 128, 512)]
        return {
            "url": f"{base}/{{w}}x{{h}}bb.{{f}}",
            "width": 1024,
            "height": 1024,
            "bgColor": "ffffff",
            "textColor1": "101014",
            "textColor2": "2a2a33",
            "textColor3": "404047",
            "textColor4": "54545c",
        }


def _size(product: Product) -> int:
    return 9_000_000 + product.adam_id * 7919 % 240_000_000


def history(adam_id: int, today: date) -> list[Version]:
    """Two or three invented versions of a product, the newest some days or months before `today`."""
    major, minor, patch = 1 + adam_id % 7, adam_id // 7 % 10, adam_id // 70 % 6
    newest = today - timedelta(days=3 + adam_id * 37 % 240)
    first_id = 860_000_000 + adam_id * 7 % 9_000_000
    return [
        Version(f"{major}.0.0", first_id, newest - timedelta(days=410 + adam_id % 300), "First release."),
        Version(f"{major}.{minor}.0", first_id + 2011, newest - timedelta(days=61), "Faster search, clearer overview."),
        Version(f"{major}.{minor}.{patch + 1}", first_id + 3020, newest, "Fixes for work without a connection."),
    ]
