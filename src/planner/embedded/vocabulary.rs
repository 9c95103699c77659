//! The words that the rules know, in one place: verbs and what they want, nouns that decide what a verb
//! means, words that join or order clauses. All are folded (lower case, single spaces). Long tables are
//! comma lists: the lexicon takes them apart once.

use super::arms::Intent;

/// English verbs at the head of a clause, by what they want.
pub(super) const VERBS: &[(Intent, &str)] = &[
    (
        Intent::Gather,
        "search, find, find out, research, look up, look for, look into, look at, gather, \
         collect, get, fetch, retrieve, investigate, explore, discover, locate, identify, read, \
         list, browse, learn, study, survey, figure out, determine, inspect, pull",
    ),
    (
        Intent::Think,
        "compare, contrast, summarise, summarize, analyse, analyze, plan, decide, choose, pick, \
         select, recommend, suggest, propose, explain, describe, outline, draft, translate, \
         prioritise, prioritize, rank, estimate, brainstorm, organise, organize, interpret, \
         classify, categorise, categorize, paraphrase, rewrite the text, write about, write up, \
         come up with, prepare, discuss, answer, calculate, assess, conclude, report, present, \
         forecast, predict, define, clarify, think, break down",
    ),
    (
        Intent::Make,
        "write, add, create, develop, make, build, implement, code, program, debug, fix, \
         repair, resolve, solve, refactor, optimise, optimize, improve, migrate, port, convert, \
         design, generate, change, modify, update, upgrade, extend, integrate, rewrite, rename, \
         remove, replace, parse, transform, clean, clean up, simplify, extract, prototype, \
         produce, troubleshoot, document, patch, support, enable, disable, handle, speed up, \
         reduce, split, merge, style, model, train, profile, visualise, visualize, plot, draw, \
         render, sort, filter, scaffold, insert",
    ),
    (
        Intent::Guard,
        "redact, anonymise, anonymize, pseudonymise, pseudonymize, mask, sanitise, sanitize, \
         encrypt, protect, censor, scrub",
    ),
    (
        Intent::Run,
        "run, execute, deploy, install, call, launch, start, stop, restart, release, publish, \
         ship, roll out, roll back, send, delete, schedule, monitor, test, configure, set up, \
         provision, upload, download, import, export, back up, backup, restore, scrape, crawl, \
         benchmark, compile, push, book, order, post, notify, email, trigger, automate, copy, \
         move, submit, scale, host, invoke, query, alert, open, \
         store, save, connect, apply, assign, invite, share, sync, close, commit, load, measure",
    ),
    (
        Intent::Check,
        "validate, verify, review, check, evaluate, audit, ensure, make sure, confirm, \
         proofread, fact check, double check, grade, judge, certify",
    ),
];

/// The most usual verbs of some other languages.
pub(super) const OTHER_VERBS: &[(Intent, &str)] = &[
    (
        Intent::Gather,
        "suche, finde, recherchiere, sammle, ermittle, busca, buscar, encuentra, investiga, \
         investigar, recherche, rechercher, cherche, chercher, trouve, trouver, pesquise, \
         pesquisar, cerca, cercare, trova, найди, найти, собери, исследуй, поищи, 搜索, 查找, 研究, \
         收集, 调研, 查询, 检索, 寻找, 調べ, 検索, 조사",
    ),
    (
        Intent::Think,
        "vergleiche, analysiere, fasse, übersetze, plane, erkläre, bewerte, compara, comparar, \
         analiza, analizar, resume, resumir, traduce, traducir, explica, comparer, analyser, \
         résume, résumer, traduis, traduire, explique, сравни, сравнить, проанализируй, \
         переведи, объясни, 比较, 分析, 总结, 翻译, 解释, 计划, 选择, 对比, 比較, 要約, 비교",
    ),
    (
        Intent::Make,
        "schreibe, schreib, schreiben, erstelle, erstellen, baue, entwickle, entwickeln, \
         behebe, repariere, implementiere, implementieren, optimiere, ergänze, füge, ändere, \
         migriere, escribe, escribir, crea, crear, desarrolla, desarrollar, añade, añadir, \
         agrega, corrige, corregir, arregla, implementa, implementar, construye, écris, écrire, \
         crée, créer, développe, développer, ajoute, ajouter, corriger, implémente, escreva, \
         escrever, crie, criar, adicione, corrija, scrivi, aggiungi, correggi, напиши, \
         написать, создай, создать, добавь, добавить, исправь, исправить, разработай, реализуй, \
         写, 编写, 创建, 开发, 实现, 构建, 修复, 调试, 优化, 添加, 设计, 重构, 生成, 制作, 修改, 作成, 実装, 修正, 작성",
    ),
    (Intent::Guard, "schwärze, anonymisiere, anonimiza, anonymise les, обезличь, 脱敏, 加密"),
    (
        Intent::Run,
        "starte, stelle, teste, testen, installiere, installieren, sende, lösche, ejecuta, ejecutar, \
         despliega, desplegar, prueba, probar, instala, envía, déploie, déployer, tester, \
         exécute, exécuter, installe, envoie, execute o, запусти, запустить, разверни, \
         протестируй, установи, отправь, удали, 运行, 执行, 部署, 安装, 测试, 发送, 删除, 发布, 実行, テスト, 배포",
    ),
    (
        Intent::Check,
        "prüfe, prüfen, überprüfe, validiere, verifica, verificar, revisa, revisar, vérifie, \
         vérifier, verifique, проверь, проверить, 检查, 验证, 审查, 确认, 核对, 評価, 検証, 검토",
    ),
];

/// Verbs and usual keywords that are nouns as often: after "and" they head a clause only with an object.
pub(super) const NOUNISH: &str = "search, research, find, plan, report, draft, code, program, design, change, update, \
     upgrade, repair, document, model, style, patch, support, mask, run, call, release, \
     schedule, monitor, test, import, export, backup, post, email, order, book, copy, move, \
     scale, host, query, review, check, audit, function, script, pii, privacy, secret, safety, \
     compliance, build, port, prototype, answer, profile, present, judge, list, survey, study, \
     start, stop, launch, debug, benchmark, estimate, pull, push, fix, rank, split, merge, \
     train, outline, read, clean, contrast, filter, sort, plot, share, load, store, open, grade, restore";

/// What, built or written, is software.
pub(super) const SOFTWARE: &str = "api, app, application, website, web site, web page, webpage, page, site, function, \
     library, service, microservice, server, backend, frontend, cli, tool, script, bot, \
     chatbot, plugin, module, package, class, component, dashboard, scraper, crawler, parser, \
     compiler, interpreter, game, sdk, endpoint, database, schema, feature, form, ui, gui, \
     widget, extension, system, platform, program, software, algorithm, client, code, login, \
     query, pipeline, workflow, test, unit test, bug, crash, exception, dialog, button, method, \
     struct, interface, framework, regex, python, rust, java, javascript, typescript, sql, \
     golang, kotlin, swift, html, css, react, shop, calculator, generator, funktion, anwendung, \
     webseite, programm, skript, schnittstelle, función, aplicación, página, fonction, \
     logiciel, функцию, сайт, приложение, программу, скрипт, 函数, 网站, 应用, 程序, 接口, 软件, 系统, 脚本, \
     网页, 工具, 代码, 関数, アプリ";

/// What, written or drafted, is prose.
pub(super) const PROSE: &str = "email, mail, post, blog, article, report, summary, letter, story, poem, essay, speech, \
     newsletter, press release, presentation, proposal, memo, agenda, recipe, itinerary, plan, \
     text, paragraph, haiku, song, lyrics, book, resume, cv, brief, slogan, tweet, \
     announcement, list, overview, brochure, bericht, artikel, gedicht, informe, artículo, \
     carta, rapport, lettre, отчёт, отчет, статью, письмо, 报告, 文章, 邮件";

/// Signs that personal data or secrets are touched.
pub(super) const SENSITIVE: &str = "password, passphrase, credential, private key, api key, apikey, api token, access token, \
     auth token, secret key, personal data, personal information, personal detail, \
     personally identifiable, customer data, customer email, customer record, customer address, \
     user data, user record, user email, client data, employee data, employee record, patient, \
     medical record, health record, health data, medical data, gdpr, hipaa, ccpa, dsgvo, ssn, \
     social security, credit card, card number, bank account, iban, passport, phone number, \
     email address, home address, date of birth, salary, payroll, biometric, pii, kundendaten, \
     passwort, passwörter, personenbezogene, datos personales, contraseña, \
     données personnelles, mot de passe, персональные данные, пароль, пароли, 密码, 个人信息, 个人数据, \
     客户数据, 隐私, 身份证, パスワード, 個人情報";

/// Words that join clauses only if an action follows.
#[rustfmt::skip]
pub(super) const JOINING: &[&str] = &[
    "and", "&", "plus", "also", "und", "y", "e", "et", "и", "а", "및", "并", "并且", "以及", "和", "且", "そして",
];

/// Words that say that what follows comes later.
#[rustfmt::skip]
pub(super) const ORDERING: &[&str] = &[
    "then", "afterwards", "afterward", "finally", "subsequently", "lastly", "next", "dann", "danach",
    "anschließend", "schließlich", "luego", "después", "finalmente", "puis", "ensuite", "enfin", "poi",
    "depois", "затем", "потом", "然后", "接着", "最后", "随后", "再", "それから",
];

/// Joining and ordering words of scripts without spaces, the longest first.
pub(super) const UNSPACED: &[&str] =
    &["并且", "以及", "然后", "接着", "最后", "随后", "そして", "それから", "并", "和", "且", "再"];

/// What people say before they say what they want, the longest of a kind first.
#[rustfmt::skip]
pub(super) const LEAD_INS: &[&str] = &[
    "please", "can you", "could you", "would you", "you should", "you must", "i would like you to",
    "i would like to", "i would like", "i d like you to", "i d like to", "i d like", "i want you to",
    "i want to", "i want", "i need you to", "i need to", "i need", "we need to", "we want to",
    "we need", "we want", "we should", "we have to", "help me to", "help me", "help us", "let s",
    "let us", "your task is to", "the goal is to", "the task is to", "to", "first", "firstly",
    "second", "secondly", "third", "also", "now", "just", "after that", "bitte", "por favor",
    "s il vous plaît", "merci de", "пожалуйста", "请帮我", "请你", "请", "帮我", "首先", "我想", "我要",
];

/// Words that begin an object or follow a verb that stands alone.
#[rustfmt::skip]
pub(super) const OBJECT_STARTS: &[&str] = &[
    "a", "an", "the", "this", "that", "these", "those", "it", "them", "its", "their", "my", "our",
    "your", "his", "her", "all", "any", "each", "every", "some", "both", "for", "with", "against",
    "into", "on", "out", "if", "whether", "how", "what", "which", "one", "two", "three", "four", "five",
    "six", "ten", "several", "den", "die", "das", "der", "dem", "ein", "eine", "einen", "sie", "es",
    "alle", "el", "la", "los", "las", "un", "una", "lo", "le", "les", "une", "des", "il", "o", "os",
    "as", "um", "uma", "его", "их", "её", "everything",
];

/// Words that stand for what an earlier clause was about or brought.
#[rustfmt::skip]
pub(super) const REFERENCES: &[&str] = &[
    "it", "them", "its", "their", "these", "those", "result", "results", "finding", "findings",
    "latter", "sie", "ihn", "ergebnis", "ergebnisse", "lo", "los", "las", "les", "её", "его", "их",
    "resultados",
];

/// The same in scripts without spaces.
pub(super) const UNSPACED_REFERENCES: &[&str] = &["它", "其", "结果", "それ"];

/// Words that make a sentence without a verb of ours a statement about how things are.
pub(super) const STATING: &[&str] = &[
    "is",
    "are",
    "was",
    "were",
    "has",
    "have",
    "had",
    "should",
    "must",
    "can",
    "cannot",
    "will",
    "would",
    "fails",
    "needs",
    "uses",
    "ist",
    "sind",
    "hat",
    "haben",
    "es",
    "está",
    "son",
    "est",
    "sont",
    "does",
    "do",
    "got",
    "dropped",
    "stopped",
    "crashed",
    "broke",
    "failed",
    "keeps",
    "takes",
    "shows",
    "returns",
    "reports",
    "complain",
    "complains",
    "increased",
    "decreased",
    "went",
];

/// Words that begin a question.
#[rustfmt::skip]
pub(super) const ASKING: &[&str] = &[
    "what", "who", "whom", "whose", "when", "where", "which", "why", "how", "is", "are", "does", "do",
    "did", "can", "was", "wie", "warum", "wer", "wo", "wann", "welche", "qué", "cómo", "quién",
    "dónde", "comment", "pourquoi", "что", "как", "почему", "где", "什么", "怎么", "如何", "为什么",
];

/// Words that end the head of a noun phrase.
pub(super) const PHRASE_ENDS: &[&str] = &[
    "for", "to", "about", "that", "which", "of", "in", "with", "on", "from", "by", "as", "using", "so",
    "where", "against", "into", "für", "die", "zum", "zur", "über", "para", "sobre", "pour", "sur", "qui",
    "que", "для",
];
