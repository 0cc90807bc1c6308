"""The invented apps and books of the sample locations: none of them is a real product."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One invented product; `marks` are words that say what is special about it."""

    name: str
    developer: str
    genre: str
    line: str
    marks: frozenset[str] = frozenset()

    @property
    def kind(self) -> str:
        """What it runs on."""
        return next((kind for kind in ("ipad", "mac", "universal", "book") if kind in self.marks), "ios")


def _read(table: str) -> tuple[Entry, ...]:
    """Two lines each: name, developer, genre and marks; then what it is for."""
    lines = [line.strip() for line in table.strip().splitlines()]
    entries = []
    for head, line in zip(lines[::2], lines[1::2], strict=True):
        name, developer, genre, *marks = (part.strip() for part in head.split("|"))
        entries.append(Entry(name, developer, genre, line, frozenset(" ".join(marks).split())))
    return tuple(entries)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


BUSINESS = _read(
    """
Quillmark Notes | Quillmark Labs | Productivity
    Shared notebooks that keep working in a basement without a signal.
Tidewater Ledger | Tidewater Software | Finance
    Approve invoices and read balances on the way to the next meeting.
Fieldmoss Inspect | Fieldmoss | Business
    Walk a site, tick a list, attach photos, and send the report before you leave.
Harrow Roster | Harrow & Finch | Business
    Shifts, swaps and sick notes for teams that do not sit at desks.
Coppergate Till | Coppergate Retail | Business | ipad paid
    Sell from a tablet, take returns, and close the day in two minutes.
Okapi Forms | Okapi Works | Productivity
    Turn a paper form into one that checks itself.
Lanternpost Mail | Lanternpost | Productivity
    A shared mailbox in which nobody answers the same letter twice.
Brindle Survey | Brindle Research | Business | paid
    Interviews in the street, quotas at the office.
Stavewell Meet | Stavewell | Business
    Meetings with an agenda that ends on time.
Pallet Pilot | Northquay Logistics Software | Business
    Find the pallet, move the pallet, prove that it was moved.
Corvid Scan | Corvid Imaging | Utilities
    Scan, straighten and name documents with one hand.
Marlstone Maps | Marlstone Geo | Navigation | paid
    Site plans and pipelines over maps that fit on the device.
Juniper Desk | Ashgrove Systems | Business
    Tickets, chat and a knowledge base for people who fix things.
Vellum Sign | Vellum Trust | Business
    Signatures that a court accepts and a customer understands.
Hexwright CAD View | Hexwright | Graphics & Design | ipad paid
    Open large drawings, measure, and mark up on the shop floor.
Saltbox Expenses | Saltbox | Finance
    Photograph a receipt and forget about it.
Greywacke Safety | Greywacke | Reference
    Data sheets, first aid and the right telephone number, offline.
Ponder Learn | Ponder Academy | Education
    Ten minutes of training a day, with certificates that count.
Thimble Stock | Thimble Tools | Business | paid
    Count a storeroom with the camera.
Wayfarer Trips | Wayfarer Travel Desk | Travel
    One plan for trains, rooms and changes of mind.
Beacon Status | Ashgrove Systems | Utilities
    See at a glance which service is down and who is on it.
Foxglove Health Check | Foxglove Care | Medical | ipad
    Rounds, readings and hand-over for mobile nursing.
Kestrel Fleet | Kestrel Telematics | Navigation
    Where the vans are, how they are, and who drives them.
Drummond Print | Drummond Office | Utilities
    Print to any office of the company from any other.
Sable Wallboard | Sable Displays | Business | ipad
    Turn a spare tablet into a meeting room sign.
Ostler Keys | Ostler Security | Utilities
    Passkeys and door keys of a company in one pocket.
Cinder Chat | Cinder Collaboration | Social Networking
    Messages for crews, with a button that says it is urgent.
Mossbank HR | Mossbank People | Business | unlimited
    Pay slips, leave and the staff directory.
Tallow Tasks | Tallow | Productivity
    A list for the team that stays shorter than the day.
Ravelin Remote | Ravelin | Utilities | paid
    Help a colleague by seeing the same screen.
Cantle Translate | Cantle Language | Reference | absent
    Say it in the language of the person at the counter.
Birchline Quotes | Birchline | Business | both paid
    From measuring tape to a signed offer in one visit.
Peregrine Audit | Peregrine Assurance | Business | paid userlicence
    Samples, evidence and findings in one file.
Umber Sketch | Umber Arts | Graphics & Design | ipad
    Draw the idea while it is still being explained.
Meridale Line Control | Meridale Instruments Digital | Business | custom ipad
    Start, stop and tune the assembly lines of our plants.
Meridale Service Book | Meridale Instruments Digital | Business | custom
    Service history of every instrument we have sold.
Meridale Visitor | Meridale Instruments Digital | Business | custom ipad
    Welcomes visitors, prints badges, knows the fire roll.
Meridale Price Book | Meridale Instruments Digital | Business | custom
    Prices and delivery times for our sales staff.
Calibration Companion for Meridale | Brightgauge Partners | Utilities | custom
    Leads through a calibration and files the certificate.
Dock Door for Meridale | Northquay Logistics Software | Business | custom
    Yard and gate of the Meridale warehouses.
Hexwright CAD Studio | Hexwright | Graphics & Design | mac paid
    Design and simulate on the Mac.
Lathe Terminal | Lathe Tools | Developer Tools | mac
    A terminal that remembers what worked.
Soundpost Editor | Soundpost | Music | mac paid
    Cut and clean spoken recordings.
Vault Backup for Mac | Ostler Security | Utilities | mac
    Backs up while nobody is looking.
Papertrail Reader | Corvid Imaging | Productivity | universal
    Read, mark and compare long documents on every screen.
Stavewell Board | Stavewell | Productivity | universal
    A whiteboard as large as the idea.
Hourglass Time | Tallow | Business | universal paid
    Hours on projects, without the detective work.
The Careful Calibrator | Meridale Press | Reference | book
    A handbook for people who measure.
Lifting Without Luck | Greywacke Books | Health & Fitness | book
    Forty rules for moving heavy things.
"""
)

SCHOOL = _read(
    """
Inkwell Class | Inkwell Education | Education | ipad
    Hand out, hand in and mark exercises.
Ponder Numbers | Ponder Academy | Education
    Arithmetic that adapts to the child.
Ponder Letters | Ponder Academy | Education
    Reading aloud, with patience.
Starling Geometry | Starling Maths | Education | ipad
    Constructions with compass and ruler on glass.
Tadpole Code | Tadpole | Education | ipad
    First programs for small hands.
Meadow Atlas | Marlstone Geo | Reference
    Maps for classrooms, from the village to the ocean.
Chime Music Room | Soundpost | Music | ipad paid
    Compose with loops and proper notes.
Beaker Lab | Beaker Science | Education | paid
    Experiments that cannot set the room on fire.
Hedgerow Nature Guide | Hedgerow | Reference
    What is growing, crawling and singing there.
Umber Sketch Junior | Umber Arts | Graphics & Design | ipad
    Drawing without menus.
Register Bell | Harrow & Finch | Education
    Attendance in the time it takes to sit down.
Parley Languages | Cantle Language | Education | paid
    Conversation practice for shy learners.
Timeline Tower | Starling Maths | Education
    History as a building one can climb.
Playfair Stories | Inkwell Education | Education | ipad
    Make a picture book and read it to the class.
Satchel | Inkwell Education | Productivity | unlimited
    All homework in one place.
Tadpole Studio | Tadpole | Developer Tools | mac
    The next step after first programs.
A Pocket Physics | Beaker Books | Reference | book
    Experiments with what is in the kitchen.
Songs for Tall and Small | Soundpost Books | Music | book
    Sixty rounds and where to breathe.
"""
)

SMALL = tuple(entry for entry in BUSINESS if not entry.marks)[:8]

GENRE_TEXT = {
    "Business": "Made for daily work: starts fast, keeps its data until a connection is back, and is set up by the "
    "administrator, so that nobody has to type a server address.",
    "Productivity": "Works alone or with a team, keeps every version, and exports to open formats.",
    "Finance": "Every step is signed and dated, roles decide who sees what, and figures go to a spreadsheet.",
    "Utilities": "Small, quick and quiet. No account is needed, and nothing leaves the device unless it is asked to.",
    "Education": "Made with teachers. No advertising, no account for the pupil, and reports one can read in a minute.",
    "Reference": "Everything is available offline and searched in an instant.",
    "Graphics & Design": "Accurate to the last line, with layers, comments and a link for those who only want to look.",
}
OTHER_TEXT = "Supports managed configuration, single sign-on and the accessibility features of the system."

FIRST = _words(
    """
Alder Amber Anchor Arbor Aspen Barley Basalt Beech Bramble Brook Cedar Chalk Clover Cobalt Copper Coral Cotton Crane
Delta Ember Fallow Fern Flint Garnet Glade Granite Harbor Hazel Heath Heron Indigo Iris Ivory Jasper Juniper Kelp
Larch Linden Maple Marble Moss Oak Onyx Opal Orchard Pebble Pine Plover Quartz Raven Reed Ridge River Rowan Saffron
Sage Sand Sorrel Spruce Teal Thistle Tundra Umber Violet Walnut Willow Wren
"""
)
SECOND = _words(
    """
Agenda Assist Board Budget Cart Checklist Clinic Compass Console Counter Courier Crew Dispatch Docs Drive Fleet Flow
Forms Guide Harvest Hub Index Inspect Inventory Journal Kiosk Ledger Library Log Market Meter Notes Orders Outlook
Pass Planner Point Portal Post Projects Quote Register Report Roster Route Scan Schedule Shelf Shift Signage Sketch
Stock Survey Tasks Ticket Timesheet Tracker Training Vault Visit Warehouse Workshop
"""
)
THIRD = ("", "Pro", "Go", "Lite", "for Teams", "Field", "Plus", "Studio", "Mobile", "Connect", "One", "Express")
HOUSES = ("Software", "Labs", "Works", "Digital", "Systems", "Studio", "& Partners")
GENRES = (*GENRE_TEXT, "Medical", "Navigation", "Travel")


def describe(entry: Entry) -> str:
    """A description of a few sentences."""
    promise = f"{entry.developer} answers questions in your language."
    return "\n\n".join((entry.line, GENRE_TEXT.get(entry.genre, OTHER_TEXT), promise))


def invented(number: int, kind: str) -> Entry:
    """An app made of words, from nothing but a number; names repeat after some 46,000."""
    first, second = FIRST[number % len(FIRST)], SECOND[number // len(FIRST) % len(SECOND)]
    third = THIRD[number // (len(FIRST) * len(SECOND)) % len(THIRD)]
    developer = f"{FIRST[number * 7 % len(FIRST)]} {HOUSES[number % len(HOUSES)]}"
    line = f"{second} made simple: see what is due, do it, and let everybody know."
    marks = frozenset((kind, "custom" if number % 50 == 11 else "", "paid" if number % 5 == 0 else ""))
    return Entry(f"{first} {second} {third}".strip(), developer, GENRES[number % len(GENRES)], line, marks)
