"""What a sentence is for, as far as rules can tell."""

import re
from enum import StrEnum

from app.taxi.reading.answers import is_no, is_yes
from app.taxi.reading.corrections import corrects
from app.taxi.text import compose, fold


class Intent(StrEnum):
    """What a sentence is for; one sentence may be for several things."""

    GREETING = "greeting"
    TAXI_REQUEST = "taxi_request"
    YES = "yes"
    NO = "no"
    CORRECTION = "correction"
    CANCEL = "cancel"
    TURN_DOWN = "turn_down"
    """«no, muy caro, gracias»: does not want the taxi after all."""
    STATUS = "status"
    PRICE = "price"
    PAYMENT_QUESTION = "payment_question"
    """«¿reciben Nequi?»: about the service, not yet a choice."""
    COVERAGE = "coverage"
    ANOTHER = "another"
    """One more taxi, beside the one booked."""
    HUMAN = "human"
    COMPLAINT = "complaint"
    """Something lost, a bad driver: a person has to see to it."""
    EMERGENCY = "emergency"
    HELP = "help"
    """«¿quién eres?», «¿cómo funciona?»."""
    REPEAT = "repeat"
    WAIT = "wait"
    THANKS = "thanks"
    GOODBYE = "goodbye"
    INSULT = "insult"
    OUT_OF_SCOPE = "out_of_scope"
    INJECTION = "injection"


# What is looked for, and what must not be there; yes, no and corrections are told by their own rules.

_VEHICLE = (
    r"(?:tax\w{1,3}|ta[kc]?si\w?|servicio|carro|carrito|vehiculo|movil|transporte|cab|ride|carrera(?! (?:\d|#|"
    r"n[o°u]|(?:cuarenta|cincuenta|sesenta|setenta|ochenta|treinta|veint\w+|diez|once|doce)\b)))\b"
)
_WANT = (
    r"(?:necesit\w+|quier[oa]|queremos|quisiera\w*|querria|deseo|deseamos|requier\w+|solicit\w+|solisit\w+|"
    r"pid[oae]\w*|pedir\w*|manda\w*|mande\w*|envia\w*|envie\w*"
    r"|regala\w*|regale\w*|consig\w+|consegu\w+|busc\w+|ocup[oa]|reserv\w+|colabor\w+|ayud\w+|haga\w*|hace\w*|"
    r"me das?|me dan|dame|deme|trae\w*|traig\w+|programa\w*"
    r"|agend\w+|pedi\w*|contrat\w+|coger|need|want|like|get|order|book|send)"
)
_PERSON = (
    r"(?:una? )?(?:persona(?:s)?(?: real| de verdad| humana)?|human[oa]s?|asesor(?:a|es)?|agentes?(?: humano)?|"
    r"operador(?:a|es)?|operari[oa]|supervisor(?:a)?"
    r"|encargad[oa]|jefe|gerente|alguien|representante|ser humano|telefonista|duen[oa]|coordinador(?:a)?|empleado|"
    r"real person|human|agent|someone|representative)"
)
_NOT_PAYING = (
    r"(?! (?:(?:el|la|mi|los|lo de la) )?(?:(?:pago|valor|cuenta|carrera |servicio )?(?:con|en|por(?! fav)|a traves) |"
    r"efectivo|nequi|daviplata|tarjeta|al (?:llegar|conductor|chofer|final|bajar)"
    r"|cuando (?:llegue|lleguemos|me baje)|alla))"
)
_QUESTION_VERB = r"(?:reciben?|recibes|aceptan?|aceptas|manejan?|manejas|tienen?|tienes|cobran?|hay|trabajan?)"
_TOO_DEAR = (
    r"(?:car(?:o|a|ito|isim[oa])|mucha plata|mucho dinero|demasiado|(?:too )?expensive|too much|"
    r"no me alcanza)\b"
)
_MEANS = (
    r"(?:nequi|neki|daviplata|davi plata|efectivo|tarjetas?|datafono|transferencias?|bre b|bitcoin|credito|debito|"
    r"medios? de pago|formas? de pago|pagos?)"
)

_PATTERNS: dict[Intent, str] = {
    Intent.GREETING: (
        r"\b(?:h?ola+s?|holi\w*|buen(?:os|as)? ?(?:dias?|tardes?|noches?)|buenas|wenas|saludos|alo+|que (?:mas|hubo|"
        r"tal)\b(?! (?:si|el|la))|quiubo|kiubo|quihubo"
        r"|hello|hi|hey|good (?:morning|afternoon|evening)|como (?:estas?|estan|le va|te va|andas)|epa|que hay)\b"
    ),
    Intent.TAXI_REQUEST: (
        rf"\b{_WANT}\b[^.!?]{{0,40}}?\b{_VEHICLE}|\b(?:un|una|otro|otra|1|dos|2|el|de|a)?\b ?\b(?:un|una|otro|otra|1|"
        rf"dos|2|a|another) {_VEHICLE}"
        rf"|^\W*(?:(?:hola|buenas|buenos dias|buenas tardes|buenas noches|por favor|porfa)\W+)*tax[iy]s?\b(?! (?:ya|"
        rf"no|demor|lleg))"
        r"|\b(?:recog(?:eme|enme|erme|ernos|edme|anme|ame)|recojanme|recojame|recojeme|rrecog\w+|que (?:me|nos|la|"
        r"lo) (?:recojan?|recogan?|busquen|lleven?)|me (?:pueden? |puedes )?(?:recog\w+|recojen?|buscan)|pick me up|"
        r"take me)\b"
        r"|\bnecesito (?:ir|que me (?:recojan|lleven|busquen)|llegar|salir|transportarme|movilizarme)\b"
    ),
    Intent.CANCEL: (
        rf"\b(?:cancel(?:a|ar|e|en|as|es|ame|eme|alo|elo|arlo|arla|enlo|emos|ado|acion|o|led|la)?|kansel\w+|"
        rf"cansel\w+)\b{_NOT_PAYING}"
        r"|\banul(?:a|ar|e|en|alo|elo|arlo|ame)\b|\bya no (?:lo |la |voy a )?(?:quiero|necesit\w+|hace falta|deseo|"
        r"requiero|ocupo|viaj\w+|ir|salgo|voy a salir)\b(?! (?:que|un taxi con|parrilla|baul|el baul|aire|pagar|"
        r"nequi|tarjeta|camioneta|llevar|la parrilla|el aire|portabici))"
        r"|\bno (?:lo|la|me lo|me|los) (?:mandes?|manden|envies?|envien|despaches?|despachen)\b|\bno (?:mandes?|"
        r"manden|envies?|envien|despaches?|despachen|quiero) (?:nada|el taxi|ningun taxi|taxi)\b"
        r"|\bolvid(?:alo|elo|ate|ese|a eso|emoslo)\b|\b(?:deja|deje|dejalo|dejelo|dejemos|dejemoslo|dejen) (?:asi|"
        r"eso asi|as i)\b|\b(?:deten|detenga|suspend[ea]\w*|para|pare) el (?:servicio|taxi|pedido)\b"
        r"|\bya (?:consegui|cogi|tome|agarre|pare|encontre|me consegui) (?:otro |un |el )?(?:taxi|carro|transporte|"
        r"uber|indriver|didi|otro)\b|\bya me (?:fui|voy en otro|recogieron|vinieron a buscar)\b|"
        r"\bno voy a (?:viajar|salir|ir)\b"
        r"|\bforget it\b|\bnever mind\b|\bi (?:do not|don t|don't) (?:need|want) (?:it|the|a)\b"
    ),
    Intent.STATUS: (
        r"\b(?:donde|adonde|por donde|a donde) (?:esta|viene|va|anda|se encuentra|quedo|"
        r"quedara)\b[^.?!]{0,20}\b(?:taxi|carro|conductor|chofer|movil|servicio|vehiculo|taxista|senor)\b|"
        r"\bpor donde (?:viene|va|anda)\b"
        r"|\bdonde (?:viene|va)\b|\bcuanto (?:le |me |se |nos )?(?:falta|demora|tarda|demoran|tardan|se demora|"
        r"va a demorar|se tarda)\b|\b(?:se |me )?demora (?:mucho|cuanto)\b|\b(?:va|se va) a demorar\b"
        r"|\b(?:en )?cuanto (?:tiempo|rato)? ?(?:llega|llegan|viene|falta|demora|me recoge|tarda|pasa)\b|"
        r"\ba que horas? (?:llega|viene|pasa|me recoge)|\bya (?:viene|salio|esta (?:cerca|llegando|en camino)|llego|"
        r"lo (?:mandaron|enviaron)|mandaron|enviaron|asignaron|lo asignaron|va a llegar|casi llega)\b"
        r"|\bno (?:ha|a) (?:llegado|venido|pasado|aparecido)\b|\bno (?:llega|viene|aparece|llego|vino|"
        r"me han recogido)\b|\b(?:sigo|estoy|llevo|llevamos|todavia|aun)\b[^.?!]{0,25}\b(?:esperando|espera)\b"
        r"|\bque (?:paso|pasa|hubo|fue) (?:con|de)\b[^.?!]{0,12}\b(?:taxi|servicio|carro|carrera|pedido|movil)\b|"
        r"\b(?:estado|status) (?:de|del)\b|\bcomo va (?:mi|el|lo de)\b|\b(?:cual es la |las? |que )placas?\b|"
        r"\bquien (?:me recoge|viene|es el conductor)\b"
        r"|\by (?:mi|el) (?:taxi|carro|servicio)(?: que)?\W*$|\b(?:mi|el) taxi (?:ya|todavia|aun|no|demora|"
        r"se demora|viene)\b|\bwhere (?:is|s) (?:my|the) (?:taxi|cab|"
        r"driver|ride)\b|\bhow long\b|\b(?:on its way|arrived yet)\b"
    ),
    Intent.PRICE: (
        r"\b(?:cuanto|quanto|cuanta plata|a como|en cuanto|a cuanto|por cuanto)\b(?: \w+){0,4}? (?:cobr\w+|cuest\w+|"
        r"cost\w+|vale\w*|valdr\w+|sale|saldr\w+|deja|dejan|queda|pag\w+|toca pagar|tengo que pagar)\b"
        r"|\b(?:cuanto|a como) (?:es|seria|son|esta)\b(?! (?:\d|\w+ (?:mas|por|menos|entre) )|el (?:peso|total de))|"
        r"\bcuanto por\b|\b(?:que|cual es el|cual es la|cual seria el|el|me da el|da el|saber el|dime el|"
        r"digame el) (?:precio|tarifa|costo|valor)\b"
        r"|\b(?:precios?|tarifas?|(?:carrera )?minima|recargos?|cotiza\w*)\b(?! de edad)|\bvalor (?:de|del)\b|"
        r"\bcostos?\b|\bcuanto (?:me )?(?:cobr|cuest|val|sal|dej)\w+|\bhow much\b|\b(?:fare|price|cost)\b"
    ),
    Intent.PAYMENT_QUESTION: (
        rf"\b{_QUESTION_VERB} (?:pagos? )?(?:con |por |en |el |la |un )?{_MEANS}\b|\b(?:puede[ns]?|puedo|podria) "
        rf"(?:pagar|cancelar)\b|\b(?:como|con que|de que forma) (?:puedo |se puede |se )?(?:pag\w+|cancel\w*)\b"
        r"|\b(?:cuales|que|cual) (?:son )?(?:los |las )?(?:medios?|formas?|metodos?) de pago\b|\bque (?:medios|"
        r"formas|metodos)\b|\bdo you (?:take|accept)\b|\bcan i pay\b"
    ),
    Intent.TURN_DOWN: (
        rf"^\W*(?:(?:a+y+|u+[yf]+|eche|nojoda|ah|oh|m+|erda|no)\W+)*no\b.{{0,40}}\b{_TOO_DEAR}"
        rf"|\b{_TOO_DEAR}.{{0,30}}\b(?:asi no|no gracias|no thanks|ya no|mejor no|no me (?:sirve|alcanza)|dejemos|"
        r"dejalo|dejelo|no lo (?:quiero|mande\w*)|never mind)\b"
        rf"|\b(?:dejemos(?:lo)?|dejalo|dejelo|deja|deje) (?:asi|eso)\b.{{0,30}}\b{_TOO_DEAR}"
        r"|\b(?:me voy|nos vamos|me ire) (?:mejor )?(?:en (?:bus|buseta|transmetro|moto|mototaxi|uber|indrive|"
        r"didi|bici\w*)|caminando|a pie)\b|\bmejor (?:cojo|tomo|agarro|pido|camino) ?(?:(?:un|una|el) )?"
        r"(?:bus|buseta|moto|mototaxi|uber|indrive|didi|transmetro)?\b(?=\W*(?:$|[,.;!]|gracias|much))"
        r"|\bi(?:'ll| will) (?:take (?:the|a) bus|walk)\b"
    ),
    Intent.COVERAGE: (
        r"\b(?:van|llegan|viajan|salen|prestan (?:el )?servicio|tienen (?:cobertura|servicio|taxis)|"
        r"hay (?:cobertura|servicio|taxis?)|trabajan|atienden|operan|funcionan|recogen|cubren|mandan(?: taxis?)?|"
        r"envian(?: taxis?)?)"
        r" (?:(?:a|al|hasta|en|para|por|hacia|el|la|desde) ){1,3}(?!(?:que|demor\w+|lleg\w+|mand\w+|envi\w+|cobr\w+|"
        r"recog\w+|ser|tard\w+|hacer|venir|ven|aqui|estar|subir|salir|buscar|dar|las? \d+)\b)\w+"
        r"|\bcubren (?!el pago)\w+|\b(?:zona|area) de cobertura\b|\bcobertura\b|\bdo you (?:go to|cover|serve)\b|"
        r"\b(?:en|a) que (?:ciudades|municipios|barrios|zonas|sitios|partes)\b|\b(?:van|llegan|prestan servicio|"
        r"salen) (?:fuera de|a otras? ciudad\w*)"
    ),
    Intent.ANOTHER: (
        r"\b(?:otro|segundo|nuevo) (?:taxi|servicio|carro|movil|viaje|pedido)s?\b|\b(?:otra|segunda|"
        r"nueva) (?:carrera(?! \d)|reserva|solicitud)\b|\b(?:taxi|servicio) (?:adicional|mas|nuevo)\b|\b(?:another|"
        r"second|one more) (?:taxi|cab|ride)\b|\b(?:pedir|mandame|necesito|quiero|mandeme|"
        r"enviame) otro\b(?! (?:medio|metodo|conductor|punto|lado|destino))"
    ),
    Intent.HUMAN: (
        rf"\b(?:hablar|hable|hablo|comuni\w+|pas(?:a|e|ame|eme|enme|arme|o)|transfi\w+|conect\w+|contact\w+|"
        rf"atiend[ea]\w*|atender\w*|ponme|poname|speak|talk|quiero|necesito|prefiero|dame|"
        rf"deme)\b(?: \w+){{0,2}}? (?:con |a |to |por )?(?:el |la |los )?{_PERSON}\b(?! para| y \w+ nin)"
        r"|\b(?:persona|humano) (?:real|de verdad)\b|\ba real person\b|\bno (?:quiero|"
        r"me gusta) (?:hablar )?(?:con )?(?:una? )?(?:robot|maquina|bot|grabadora|contestador\w*)|\b(?:un|una|algun|"
        r"alguna) (?:asesor|operador|operadora|asesora|humano)\b|^\W*(?:asesora?|operadora?|humano|agente|human|"
        r"agent)\W*$"
    ),
    Intent.COMPLAINT: (
        r"\b(?:queja|quejarme|reclam\w+|denunci\w+|demand(?:a|ar))\b|\b(?:deje|olvide|se me (?:quedo|olvido|perdio)|"
        r"perdi)\b[^.?!]{0,40}\b(?:taxi|carro|vehiculo)\b|\bobjetos? perdidos?\b|\b(?:conductor|chofer|"
        r"taxista)\b[^.?!]{0,30}\b(?:groser\w+|me cobro|abus\w+|borracho|mal ?educado|atrevido|me dejo|no quiso)|"
        r"\bme cobraron (?:de )?mas\b"
    ),
    Intent.EMERGENCY: (
        r"\b(?:auxilio|socorro|me (?:estan |van a )?(?:robando|robar|atracando|atracar|persiguen|siguiendo|"
        r"secuestra\w+)|me (?:robaron|atracaron)|llam\w+ (?:a )?(?:la )?(?:policia|ambulancia|bomberos)|"
        r"(?:es )?una emergencia|un accidente|infarto|se esta muriendo|va a dar a luz|esta dando a luz|emergency|"
        r"ambulance)\b"
    ),
    Intent.HELP: (
        r"\b(?:quien eres|quien es usted|con quien hablo|que eres(?! (?:mas|muy|tan|bien|una?)\b)|"
        r"como te llamas|cual es tu nombre|como funciona|"
        r"que (?:puedes|sabes|haces|mas puedes)\b|para que sirves|ayuda$|necesito ayuda$|eres (?:una? )?(?:robot|"
        r"bot|maquina|ia|inteligencia artificial|persona|humano)|who are you|are you (?:a )?(?:robot|bot|human|"
        r"real)|help me$|^help$)"
    ),
    Intent.REPEAT: (
        r"\b(?:repit\w+|repet\w+|otra vez por favor|me lo (?:dices|dice) (?:otra vez|de nuevo)|(?:dilo|digalo|diga|"
        r"di) (?:otra vez|de nuevo)|como (?:dijo|dijiste|dice|dices|fue)|que (?:dijo|dijiste|dice usted)|no (?:te |"
        r"le |lo |la |se )?(?:entend\w+|entiend\w+|escuch\w+|oi|oigo|copio|copie|capt\w+)|say (?:that |it )?again|"
        r"repeat|come again|didn.?t (?:hear|catch|understand)|pardon|"
        r"me (?:escuchas?|escucha usted|oyes?|copias?)|(?:sigues?|estas?|hay alguien) ahi|are you there|"
        r"can you hear me)\b"
        r"|^\W*(?:(?:de nuevo|otra vez|como|que|ah|mande|perdon|cual|what|sorry)(?: (?:por favor|porfa|perdon|que|"
        r"cosa|fue|senorita|senor))*\W*)$"
    ),
    Intent.WAIT: (
        r"\b(?:esper[ae](?:me|te|se|nme|d)?\b|esperate|perame|peram[eo]|perate|pere\b|aguant[ae]\w*|aguarda\w*|"
        r"un (?:momento|momentico|momentito|segundo|segundito|segundico|minuto|minutico|minutito|instante|toque|"
        r"ratico)|(?:ya|ahora|ahorita) (?:te|le|les) (?:digo|confirmo|aviso|doy|paso|mando|escribo)|"
        r"deja(?:me)? (?:ver|verificar|pensar|mirar|buscar|preguntar|busco|miro|pregunto|veo|reviso|revisar|"
        r"confirmar|consultar|pienso)|dejeme (?:ver|pensar|mirar|buscar|preguntar|busco|miro|pregunto|veo|reviso|"
        r"revisar|consultar)|dame (?:un |1 )|deme (?:un |1 )(?:moment|segund|minut)|permit[ae]me|hold on|wait|"
        r"one (?:moment|second|minute)|just a (?:moment|second|minute|sec))"
    ),
    Intent.THANKS: (
        r"\b(?:gracias|grasias|agrade[cz]\w+|muy amable|dios (?:le|te) (?:pague|bendiga)|thanks?|thank you|thx)\b"
    ),
    Intent.GOODBYE: (
        r"\b(?:adios|chao+|chau|ciao|bye+|goodbye|hasta (?:luego|pronto|manana$|la proxima|la vista)|nos vemos|"
        r"hablamos (?:luego|despues)|(?:feliz|lindo|buen|bonito) (?:dia|tarde|noche|resto|viaje)$|feliz (?:dia|"
        r"tarde|noche)|que (?:te|le|tenga|tengas|pases?|este) (?:bien|vaya|un|una|buen|buena|feliz|lindo)|cuidese|"
        r"cuidate|me despido|see you)\b"
    ),
    Intent.INSULT: (
        r"\b(?:hij(?:o|a|os)?e? ?(?:de )?put[ao]s?|hijueput\w+|hijuep\w+|jueput\w+|hpta|h\.?p\.?|hptas?|malpari\w+|"
        r"gonorrea\w*|pirob[oa]s?|carechimba|care ?(?:verga|monda|nalga|chimba|mico)|mal ?nacid[oa]|pendej[oa]s?|"
        r"estupid[oa]s?|idiotas?|imbecil(?:es)?|inutil(?:es)?|tarad[oa]s?|brut[oa]s?|"
        r"animal(?:es)? (?:de monte)?$|bob[oa] (?:hp|marica|de mierda)|(?:come|vete a la|comer|de|una|esta|"
        r"son una|eres una?) mierda|mierda|(?:vale|vales|valen|mama|mame|come|a la|ni) (?:verga|monda)|mondas?|"
        r"huevon(?:es)?|guevon\w*|putas?|puto|cabron\w*|maldit[oa]s?|maric[oa]nes|(?:eres|es|son|"
        r"que) (?:un[oa]?s? )?(?:basura|porqueria|mugre|asco|incapaz|incompetentes?|ladron(?:es)?|rateros?|ratas?)|"
        r"no sirves?(?: para)?|no sirven? para nada|lambon|sapo hp|fuck\w*|shit|bitch|asshole|stupid|dumb|moron)\b"
    ),
    Intent.OUT_OF_SCOPE: (
        r"\bcapital de\b|\bquien (?:es el (?:presidente|alcalde|papa|rey|gobernador)|fue|gano|invento|escribio|"
        r"pinto|descubrio|va ganando)\b|\b(?:chistes?|horoscopo|poemas?|recetas?|cuento de|adivinanza|traduc\w+|"
        r"resum\w+|loteria|chance (?:cayo|salio)|noticias|partidos?(?: de)?|quien juega|a que hora juega|pelicula|"
        r"serie de netflix|tiquetes?|vuelos? (?:a|para)|reservar (?:un )?(?:hotel|vuelo|habitacion|mesa)|pizza|"
        r"hamburguesa|perros? calientes?|domicilio de comida|pollo (?:asado|broaster)|pedir (?:comida|domicilio)|"
        r"clima|va a llover|temperatura|trm|precio del dolar|dolar hoy|codigo (?:en )?python|programa en|javascript|"
        r"ecuacion|raiz cuadrada|matematicas|cancion|letra de|casate|tienes novi[oa]|te amo|te quiero|"
        r"estas soltera?|sexo|^\W*que (?!sea|es|no)\w+ tan \w+|sentido de la vida|bitcoin hoy|significa|"
        r"sinonimo|ano (?:fue|descubri\w+)|joke|"
        r"weather|poem|recipe|president of|capital of)\b"
        r"|\b(?:cuanto es|cuanto da|calcula|suma) \d+|\bcuanto es \w+ (?:mas|por|menos|entre) \w+|\bque (?:hora|dia|"
        r"fecha) es\b|\bpor que (?:el|la|los|las) (?:cielo|luna|mar|perros|gatos)\b"
    ),
    Intent.INJECTION: (
        r"\b(?:ignor\w+|olvid\w+|desobed\w+|omit\w+|salta\w*|forget|disregard|ignore|override|"
        r"bypass)\b(?: \w+){0,5}? (?:instruc\w+|reglas?|ordenes|prompts?|indicaciones|restricciones|politicas|"
        r"filtros?|limites|programacion|instructions|rules|guidelines|previous)\b"
            r"|\b(?:ignor|desobed|disregard)\w*(?: \w+){0,3} (?:anterior(?:es)?|arriba|above|before)\b"
        r"|\b(?:muestr\w+|muestra\w*|ensen\w+|dime|digame|dame|revel\w+|repit\w+|imprim\w+|escrib\w+|cuales son|"
        r"cual es|comparte|copia|show|reveal|print|tell me|repeat|what (?:is|are))\b(?: \w+){0,5}? (?:prompts?|"
        r"instrucciones(?: internas| iniciales| del sistema| secretas)?|system message|mensaje del? sistema|"
        r"reglas internas|configuracion|instructions|api key|clave(?: secreta| api)?|contrasena|token)\b"
        r"|(?:^|[\n\"'<\[({|])\s*(?:system|assistant|developer|sistema|asistente|user|usuario)\s*[:>\])|]|<\|"
        r"?/?(?:im_start|im_end|system|endoftext)|\[/?inst\]|###\s*(?:system|instruc)"
        r"|\b(?:actua|actue|comportate|responde|habla|act|behave) (?:como|as|like) (?:si |if |un |una |"
        r"a |an |el |la |mi |el )\w+|\b(?:finge|fingir|simula|imagina|haz de cuenta|hagamos de cuenta|supon|"
        r"pretend) (?:que |ser |to be |you)|\b(?:a partir de|desde) ahora (?:eres|seras|tu|vas a|responde|actua)|"
        r"\b(?:ahora eres|eres ahora|you are now|now you are)\b|\bjuego de rol|\brole ?play"
        r"|\b(?:modo|mode) (?:desarrollador|admin\w*|dios|root|debug|dan|prueba|sin (?:restricciones|limites))|"
        r"\b(?:developer|debug|god|admin|dan) mode\b|\bjailbreak|\bsudo\b|\bdo anything now\b"
        r"|\bsin (?:que (?:yo )?(?:lo )?confirme|(?:pedir|esperar|necesidad de|solicitar|"
        r"hacer)?(?: \w+){0,2} ?(?:confirm\w+|preguntar\w*|validar\w*|mi consentimiento))\b|"
        r"\b(?:no (?:me )?(?:pidas|pida|preguntes|pregunte|esperes|espere)|salta\w*|omite|"
        r"omita)(?: \w+){0,2} (?:confirm\w+|nada y (?:despacha|manda|envia))|\b(?:without|"
        r"skip)(?: \w+){0,2} (?:confirm\w+|asking|consent)"
        r"|\b(?:marc\w+|regist\w+|pon\w*|considera|asume|da|dalo|guarda\w*)(?: \w+){0,3} (?:como|por|"
        r"que ya) (?:ya )?(?:confirm\w+|acept\w+|despachad\w+)|\b(?:dispatchtobackend|transferto\w+|validateaddress|"
        r"cancelbooking|estimatefare|bookingstatus|backtrackto\w+|tool_?call|function_?call)\b"
        r"|\b(?:llama|ejecuta|invoca|usa|corre|execute|call|run) (?:a )?(?:la |el |the |tu )?(?:herramienta|funcion|"
        r"comando|codigo|tool|function|api|sql)|\bsoy (?:el|la|tu|un|su) (?:administrador\w*|desarrollador\w*|"
        r"creador\w*|programador\w*|dueno del sistema|jefe del sistema|root|admin)\b"
    ),
}  # fmt: skip

_EXCEPT: dict[Intent, str] = {
    Intent.TAXI_REQUEST: (
        r"\bno (?:quiero|necesito|(?:me )?(?:mandes?|manden?|envies?|envien?)|deseo|requiero) "
        r"(?:(?:el|un|ningun|mas|otro|ese|este|mi|ya|nada de) )*(?:tax\w+|servicio|carro|carrera)\b|"
        r"\bcancel\w* (?:el|mi|un|ese|este) |\b(?:cogi|consegui|tome|agarre) (?:otro|un)\b|\bdonde (?:esta|viene|"
        r"va)\b|\b(?:deje|olvide|se me (?:quedo|olvido|perdio))\b"
        r"|\bcuanto (?:me )?(?:cuesta|vale|cobran?|sale|es|seria|demora) (?:\w+ ){0,2}(?:un|una|el|la|mi|por un) \w"
    ),
    Intent.CANCEL: r"\bno (?:(?:me|se|lo|la|vayan? a|vayas a|quiero|voy a|hay que|es para) )*(?:cancel|anul)",
    Intent.GREETING: r"^\W*(?:que (?:hubo|mas) (?:con|de)\b)",
    Intent.TURN_DOWN: (
        r"\b(?:pero|but) (?:bueno|ok|okay|dale|listo|bien|igual|si|lo|la|man\w+|envi\w+|fine|yes|send)\b|\bni modo\b|"
        r"\bigual (?:man\w+|envi\w+|dale|si|lo)\b|\bno (?:(?:es|esta|me parece|era|fue|sale|tan|muy|nada) )+"
        r"(?:car|demasiado|expensive)|\bnot (?:too |that |so )?expensive"
    ),
    Intent.WAIT: (
        r"\bsin esper|\bhag\w+ esper|\b(?:lo|los|te) espero\b|\besper(?:a|an|are|amos|e|en)(?: \w+)? en "
        r"(?:recep|porter|la\b|el\b)|\b(?:la|una|en|de|lista de|sala de) espera\b|"
        r"\bcuanto (?:espera|tiempo)|\bme espera\b|"
        r"\bque (?:me )?espere\b"
    ),
    Intent.GOODBYE: r"^\W*(?:hola\W+)?buen dia",
    Intent.PRICE: r"\bcuanto (?:se |le |me )?(?:falta|demora|tarda)\w*\W*$",
    Intent.EMERGENCY: r"\b(?:clinica|urgencias)\b|\bmaria auxili",
    Intent.PAYMENT_QUESTION: r"\bno (?:tienen|tiene|hay|reciben)\b",
    Intent.INSULT: r"\bbrutos? (?:por|de kilo)",
    Intent.REPEAT: r"\brepit\w* el (?:pedido|mismo|servicio|viaje)\b",
}

_COMPILED = tuple(
    (intent, re.compile(pattern), re.compile(_EXCEPT[intent]) if intent in _EXCEPT else None)
    for intent, pattern in _PATTERNS.items()
)

_READ_AT_MOST = 1_000
"""What a sentence is for is said in its first words; the rest of a flood of text is not looked at."""


def intents(text: str) -> frozenset[Intent]:
    """Return everything that a sentence is for; empty when the rules see nothing they know."""
    folded = fold(compose(text[:_READ_AT_MOST]))
    found = {
        intent
        for intent, pattern, exception in _COMPILED
        if pattern.search(folded) and not (exception and exception.search(folded))
    }
    if is_yes(text):
        found.add(Intent.YES)
    elif is_no(text):
        found.add(Intent.NO)
    elif corrects(text[:_READ_AT_MOST]):
        found.add(Intent.CORRECTION)
    return frozenset(found)
