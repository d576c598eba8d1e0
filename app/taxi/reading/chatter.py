"""Talk that tells a driver nothing: «mmm bueno pues ahí vamos viendo». Pure.

Only a sentence made of nothing but such words is chatter. A single word of another kind, or a number, may be
a wish, and a wish that no table knows is still the driver's to hear.
"""

import re

from app.taxi.text import compose, fold, word_set

_WORD = re.compile(r"[a-z0-9]+")
_DRAWN_OUT = re.compile(r"(?:h*m+|e+h*|a+h+|o+h+|u+[yhf]+|a+y+|(?:j[aei])+j?|(?:ha|he)+h?)")
"""«mmm», «ehhh», «jajaja»."""
_EMPTY = word_set("""
a ante al como con cual cuando de del donde e el ella ellos en entre es esa ese eso esos esas esta este esto estas
estos hasta la las le les lo los me mi mis muy mas menos mucho mucha tan tanto ni no nos o otra otro para pa pero por
porque pues que se si sin sobre su sus tambien te tu tus un una unas unos uno usted ustedes y ya yo
ahi alla alli aqui aca asi entonces luego despues ahora ahorita hoy ayer siempre nunca todavia aun tal vez quiza quizas
bueno buena bien listo vale ok okey okay aja eche nojoda erda ombe hombe hombre mija mijo hermano parce vea mire mira
oye oiga senor senora senorita amigo amiga gracias favor porfa claro
ver vamos viendo veremos vemos veo vere mirar mirando miramos pensar pensando pienso piensa pense dejame deja dejeme
sera seria creo supongo digo digamos dice decir dime se sabe saber sabes recuerdo acuerdo ocurre imagino parece
algo nada todo toda cosa cosas vaina vainas ir voy va hay habia hace haciendo hizo esta estan estoy estamos estaba
ser fue soy
calor frio lluvia lloviendo llueve llover sol clima tiempo brisa aguacero bochorno dia dias tarde noche pereza
cansado cansada vida dios quiera mundo
well so let us see the it is this that hmm dunno know i don t think maybe just nothing really hot cold weather today
what a an and of
""")


def is_chatter(text: str) -> bool:
    """Return whether a sentence has nothing in it but small talk and thinking aloud."""
    found = _WORD.findall(fold(compose(text)))
    return bool(found) and all(word in _EMPTY or _DRAWN_OUT.fullmatch(word) for word in found)
