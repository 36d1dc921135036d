"""The sentences the model is trained on: WordNet, fortunes, program documentation, and a grammar.

Nothing here comes from a set that the model is measured on. A source is a folder or an unpacked
Debian package; a missing one is left out with a message, so that the script runs anywhere, but the
figures in README.md need all of them. The order and choice depend on hashes and one seed only.
"""

import hashlib
import random
import re
import sys
from pathlib import Path

WORDS_MIN, WORDS_MAX = 4, 32
FILES_MAX = 20_000
# Sentences kept per source: everyday and general language first, technical prose beside it.
SHARES = {"wordnet": 95_000, "fortunes": 14_000, "rust": 22_000, "markdown": 14_000, "grammar": 30_000}


def order(text):
    """Returns the place of a text in an order that looks random and never changes."""
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def sentences(text):
    """Splits plain prose into sentences that look like language."""
    for part in re.split(r"(?<=[.!?;:])\s+|\n\s*\n", text):
        part = " ".join(part.split()).strip(" \"'*-#>|")
        words = part.split()
        letters = sum(c.isalpha() or c == " " for c in part)
        if WORDS_MIN <= len(words) <= WORDS_MAX and letters >= 0.85 * len(part):
            yield part


def files(root, pattern):
    """Lists the files below a folder in a fixed order, at most FILES_MAX."""
    found = sorted(Path(root).expanduser().rglob(pattern))
    return found[:FILES_MAX]


def read(path):
    return path.read_text(encoding="utf-8", errors="ignore")


def wordnet(root):
    """Glosses ("word: meaning") and the example sentences of WordNet 3.0."""
    for kind in ("noun", "verb", "adj", "adv"):
        path = Path(root) / "usr/share/wordnet" / f"data.{kind}"
        for line in read(path).splitlines():
            head, bar, gloss = line.partition(" | ")
            if not bar or line.startswith("  "):
                continue
            fields = head.split()
            lemma = re.sub(r"\(.*\)", "", fields[4]).replace("_", " ")
            meaning, *examples = re.split(r'[;:]?\s*"', gloss.strip())
            if int(order(meaning)[0]) % 2:
                yield f"{lemma}: {meaning.strip()}"
            else:
                yield meaning.strip()
            for example in examples:
                if len(example.split()) >= WORDS_MIN:
                    yield example.strip(" ;")


def fortunes(root):
    """Quotations and jokes."""
    for path in files(Path(root) / "usr/share/games/fortunes", "*"):
        if path.is_file() and path.suffix == "":
            for cookie in read(path).split("\n%\n"):
                yield from sentences(re.sub(r"--.*", "", cookie, flags=re.S))


def rust(root):
    """Documentation comments in Rust source."""
    for path in files(root, "*.rs"):
        block = []
        for line in read(path).splitlines() + [""]:
            match = re.match(r"\s*//[/!] ?(.*)", line)
            if match:
                block.append(match[1])
            elif block:
                prose = re.sub(r"```.*?```", "", "\n".join(block), flags=re.S)
                yield from sentences(re.sub(r"[`\[\]*]", "", prose))
                block = []


def markdown(root):
    """READMEs, changelogs, guides."""
    for path in files(root, "*.md"):
        prose = re.sub(r"```.*?```|<[^>]*>|\(http[^)]*\)", " ", read(path), flags=re.S)
        yield from sentences(re.sub(r"[`\[\]*]", "", prose))


WHO = """man;woman;boy;girl;child;person;group of people;young couple;old man;teacher;doctor;farmer;
student;singer;police officer;soldier;chef;dancer;dog;cat;horse;bird;baby;driver;worker;nurse;tourist;
football player;crowd;mother;father;brother;sister;neighbour;friend;team;band;monkey;elephant;cow"""
DOES = """is playing the :guitar,piano,drums,violin,flute;is cooking :rice,soup,dinner,an egg,pasta;
is cutting :an onion,bread,paper,a tomato,meat,wood;is riding a :horse,bicycle,motorcycle,train,skateboard;
is reading :a book,a newspaper,a letter,the menu;is running :in the park,on the beach,down the street,after a ball;
is swimming in the :sea,lake,pool,river;is jumping :over a fence,into the water,on a bed,off a wall;
is driving a :car,truck,bus,tractor;is eating :an apple,cake,a sandwich,grass,fish;is drinking :water,milk,coffee,tea;
is sitting :on a chair,under a tree,on the grass,at a table;is standing :in the snow,near the door,on a stage,by the road;
is holding :a baby,an umbrella,a camera,flowers,a cup;is talking on the :phone,radio,stage;
is washing :the dishes,a car,clothes,hands;is writing :a letter,a song,code,a report;is painting :a wall,a picture,a house;
is throwing :a ball,a stone,rubbish away;is climbing :a mountain,a rope,a ladder,a tree;is sleeping :on the sofa,in bed,outside;
is watching :television,a film,a football match,the birds;is buying :vegetables,a ticket,shoes,a house;
is feeding :the ducks,a baby,the cows;is opening :a box,the window,a present,a bottle;is dancing :in the rain,on stage,at a wedding"""
HOW = ";;;; slowly; quickly; at night; in the morning; with a friend; in the city; outside; alone; happily"
TRAIT = ";;;tall;small;black;white;brown;happy;tired;blonde;young"
PLACE = """France;Germany;China;India;Russia;Egypt;Syria;Israel;Iran;Iraq;Japan;Mexico;Brazil;Canada;Pakistan;Ukraine;
Spain;Italy;Turkey;Kenya;Nigeria;Australia;South Korea;Afghanistan;Britain;the United States;Greece;California;London;Paris"""
NEWS = """[p] president [v] talks with [p];police arrest [n] after attack in [p];[n] people killed in [d] in [p];
[p] [v] new law on [t];shares fall [n] percent as [t] worries grow;company says profit rose [n] percent;
court [v] appeal in [t] case;[d] kills [n] in [p];[p] and [p] sign deal on [t];protesters march in [p] over [t];
scientists find new way to study [t];prime minister of [p] resigns over [t];[p] wins match against [p];
[n] injured as [d] hits [p];officials in [p] warn about [t];the bank cut interest rates by [n] points;
[p] election: voters go to the polls;minister from [p] [v] plan for [t]"""
VERB = "rejects;begins;ends;approves;delays;supports;criticises;cancels"
TOPIC = """nuclear weapons;the economy;health care;climate change;immigration;education;oil prices;human rights;trade;
corruption;the budget;gun control;taxes;privacy;energy;water;elections;terrorism;housing;technology;vaccines"""
EVENT = "bomb blast;earthquake;flood;plane crash;fire;storm;car bomb;train accident;shooting;landslide"
NUMBER = "two;three;five;10;12;20;35;50;100;seven;dozens;hundreds"
NOTE = """meeting with [f] about [t] on [w];remember to [c];[f] recommended a book about [t];idea: [c] before [w];
how do i [c]?;what is the best way to [c]?;you should [c] as soon as you can;i do not think that you need to [c];
we decided to postpone [t] until [w];[f] called to ask about [t];is it possible to [c] without help?;
notes from the talk on [t] by [f];[f] lives in [p] and works on [t];the trip to [p] starts on [w];
it depends on whether you want to [c];why can't i [c]?;i would not [c] if i were you;my sister wants to [c] in [p]"""
CHORE = """buy milk;fix the roof;book a flight;pay the rent;clean the kitchen;learn to swim;write the report;call the dentist;
cancel the subscription;back up the laptop;grow tomatoes;bake bread;train a puppy;lose weight;choose a password;
remove a stain;repair a bicycle;change a tyre;find a job;learn German;cook rice;install the update;restart the server;
sell the car;send the invoice;water the plants;sharpen a knife;paint the fence;store the data;merge the branches"""
FRIEND = "Anna;Peter;Maria;John;my boss;the team;Dr Smith;my mother;the landlord;Ahmed;Yuki;Priya"
WHEN = "Monday;Tuesday;Friday;next week;the weekend;tomorrow;March;Christmas"


def pick(rng, text):
    return rng.choice(text.replace("\n", "").split(";"))


def grammar(_):
    """Made-up captions, headlines and notes: the plain short sentences that manuals lack."""
    rng = random.Random(20_261_122)
    holes = {"p": PLACE, "v": VERB, "t": TOPIC, "d": EVENT, "n": NUMBER, "f": FRIEND, "w": WHEN, "c": CHORE}
    while True:
        kind = rng.random()
        if kind < 0.5:
            verb, _, things = pick(rng, DOES).partition(":")
            trait = pick(rng, TRAIT)
            who = f"{trait} {pick(rng, WHO)}".strip()
            text = f"{rng.choice(['a', 'the', 'one', 'a'])} {who} {verb}{rng.choice(things.split(','))}{pick(rng, HOW)}."
        else:
            text = pick(rng, NEWS if kind < 0.75 else NOTE)
            text = re.sub(r"\[(\w)\]", lambda hole: pick(rng, holes[hole[1]]), text)
        yield text[0].upper() + text[1:]


def collect(roots):
    """Returns the training sentences of all sources, without duplicates, in a fixed order."""
    made = {"wordnet": wordnet, "fortunes": fortunes, "rust": rust, "markdown": markdown, "grammar": grammar}
    chosen = {}
    for name, share in SHARES.items():
        if name != "grammar" and not Path(roots[name]).expanduser().exists():
            print(f"source {name} is missing: {roots[name]}", file=sys.stderr)
            continue
        found = {}
        for text in made[name](roots.get(name)):
            found.setdefault(text)
            if name == "grammar" and len(found) == share:
                break
        kept = sorted(found, key=order)[:share]
        print(f"{name}: {len(kept)} of {len(found)}", file=sys.stderr)
        chosen.update(dict.fromkeys(kept))
    return sorted(chosen, key=order)
